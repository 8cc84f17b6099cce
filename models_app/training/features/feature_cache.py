"""The features of a split: read from the file beside its records, or computed once and stored there."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from models_app.training.data.crops import InputLayout
from models_app.training.data.pixel_file import header, only_writer, records_identity, remove_unlocked, write_at
from models_app.training.features.backbone import Backbone
from models_app.training.features.extraction import Extraction
from models_app.training.features.feature_file import (
    DIGEST_BYTES,
    SUFFIX,
    FeatureFile,
    content_digest,
    feature_bytes,
    layout_of_features,
)
from models_app.training.features.fixed_views import FixedViews
from models_app.training.features.passes import PassProgress
from models_app.training.features.plan import MAX_BYTES

logger = logging.getLogger(__name__)

MAX_FILES = 16  # of one dataset; of more, the least recently used are removed


@dataclass(frozen=True)
class Pass:
    """What a computation of features needs besides the records. `folder` is for the backbone's model file."""

    backbone: Backbone
    folder: Path
    threads: int
    progress: PassProgress


def open_features(views: FixedViews, work: Pass) -> tuple[FeatureFile, bool]:
    """The features of all views, and whether they had to be computed."""
    records = views.records
    layout = layout_of_features(records.layout, work.backbone.size, views.count)
    identity = {**records_identity(records), **views.identity, **work.backbone.identity}
    path = _path_of(records.path, identity)
    if found := _opened(path, layout, identity, work):
        return found, False
    with only_writer(path.with_name(f".{path.name}.part"), work.progress.tick) as (descriptor, part):
        if found := _opened(path, layout, identity, work):  # written while this process waited
            return found, False
        started = time.monotonic()
        _write(descriptor, views, identity, work)
        part.rename(path)
        seconds = time.monotonic() - started
        logger.info("%d×%d features computed in %.1f s: %s", len(records), views.count, seconds, path)
    _remove_old(path)
    return FeatureFile(path, layout, identity, work.progress.tick, is_new=True), True


def _path_of(records: Path, identity: dict) -> Path:
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    return records.with_name(f"{records.stem}-{key}{SUFFIX}")


def _opened(path: Path, layout: InputLayout, identity: dict, work: Pass) -> FeatureFile | None:
    try:
        found = FeatureFile(path, layout, identity, work.progress.tick)
    except FileNotFoundError as reason:
        if path.exists():
            logger.warning("%s; it is computed again", reason)
        return None
    os.utime(path)  # it was used now
    return found


def _write(descriptor: int, views: FixedViews, identity: dict, work: Pass) -> None:
    size = work.backbone.size
    file_bytes = feature_bytes(len(views.records), layout_of_features(views.records.layout, size, views.count))
    os.ftruncate(descriptor, 0)
    os.posix_fallocate(descriptor, 0, file_bytes)  # a full disk shows now, not halfway
    running = work.backbone.open(work.folder)
    Extraction(views, size, running, descriptor).run(work.threads, work.progress)
    end = file_bytes - DIGEST_BYTES
    write_at(descriptor, content_digest(descriptor, end, work.progress.tick), end)
    os.fsync(descriptor)
    write_at(descriptor, header(identity), 0)
    os.fsync(descriptor)


def _remove_old(kept: Path) -> None:
    """Remove the least recently used files of the dataset beyond MAX_FILES and MAX_BYTES, but never `kept`, and what
    killed trainers left unfinished."""
    found = [(path, stat) for path in kept.parent.glob(f"*{SUFFIX}") if path != kept and (stat := _stat(path))]
    total = kept.stat().st_size
    for number, (path, stat) in enumerate(sorted(found, key=lambda each: -each[1].st_mtime_ns), start=1):
        total += stat.st_size
        if number >= MAX_FILES or total > MAX_BYTES:
            path.unlink(missing_ok=True)
            logger.info("removed the features %s, which were not used for long", path)
    for path in kept.parent.glob(f".*{SUFFIX}.part"):
        remove_unlocked(path)


def _stat(path: Path) -> os.stat_result | None:
    """The state of a file; None if another trainer has just removed it."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None
