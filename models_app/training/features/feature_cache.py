"""The features of a split: read from the file beside its records, or computed once and stored there."""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models_app.training.data.crops import InputLayout
from models_app.training.data.pixel_file import (
    HEADER_BYTES,
    LABEL_BYTES,
    header,
    only_writer,
    records_identity,
    write_at,
)
from models_app.training.data.pixels import Records
from models_app.training.features.backbone import Backbone
from models_app.training.features.feature_file import (
    DIGEST_BYTES,
    FEATURE_BYTES,
    SUFFIX,
    FeatureFile,
    content_digest,
    feature_bytes,
    layout_of_features,
)
from models_app.training.features.passes import PassProgress

logger = logging.getLogger(__name__)

VIEW_SEED = 20_261_130  # of the random views, which are the same in every training
BATCH = 16  # images that the backbone computes at once
MAX_FILES = 16  # of one dataset; of more, the least recently used are removed
MAX_BYTES = 4 << 30  # of one dataset's files together, and so of one file


@dataclass(frozen=True)
class Pass:
    """What a computation of features needs besides the records. `folder` is for the backbone's model file."""

    backbone: Backbone
    folder: Path
    threads: int
    progress: PassProgress

    @property
    def tick(self) -> Callable[[], None]:
        """What is called between two batches; it can raise Aborted."""
        return self.progress.tick


def fits(images: int, layout: InputLayout) -> bool:
    """Whether a file of so many images may be stored."""
    return feature_bytes(images, layout) <= MAX_BYTES


def open_features(records: Records, views: int, work: Pass) -> tuple[FeatureFile, bool]:
    """The features of so many views of all images, and whether they had to be computed."""
    layout = layout_of_features(records.layout, work.backbone.size, views)
    identity = {**records_identity(records), **_identity_of_views(records.layout, views), **work.backbone.identity}
    path = _path_of(records.path, identity)
    if found := _opened(path, layout, identity, work):
        return found, False
    with only_writer(path.with_name(f".{path.name}.part"), work.tick) as (descriptor, part):
        if found := _opened(path, layout, identity, work):  # written while this process waited
            return found, False
        started = time.monotonic()
        _write(descriptor, records, layout, identity, work)
        part.rename(path)
        logger.info("%d×%d features computed in %.1f s: %s", len(records), views, time.monotonic() - started, path)
    _remove_old(path)
    return FeatureFile(path, layout, identity, work.tick), True


def _identity_of_views(layout: InputLayout, views: int) -> dict:
    """Values on which the views of an image depend; the middle crop does not depend on how others are chosen."""
    resize = layout.resize.to_dict() if layout.resize else None
    chosen = {"seed": VIEW_SEED, "mirror": layout.mirror} if views > 1 else {}
    return {"views": views, "input_shape": layout.input_shape, "resize": resize, **chosen}


def _path_of(records: Path, identity: dict) -> Path:
    key = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    return records.with_name(f"{records.stem}-{key}{SUFFIX}")


def _opened(path: Path, layout: InputLayout, identity: dict, work: Pass) -> FeatureFile | None:
    try:
        found = FeatureFile(path, layout, identity, work.tick)
    except FileNotFoundError as reason:
        if path.exists():
            logger.warning("%s; it is computed again", reason)
        return None
    os.utime(path)  # it was used now
    return found


def _write(descriptor: int, records: Records, layout: InputLayout, identity: dict, work: Pass) -> None:
    count, label_bytes = len(records), LABEL_BYTES * math.prod(layout.label_shape)
    image_bytes, start = FEATURE_BYTES * math.prod(layout.image_shape), HEADER_BYTES + count * label_bytes
    end = start + count * image_bytes
    os.ftruncate(descriptor, 0)
    os.posix_fallocate(descriptor, 0, end + DIGEST_BYTES)  # a full disk shows now, not halfway
    running, views = work.backbone.open(work.folder, work.threads), layout.image_shape[1]
    for numbers in _batches(count):
        features = np.empty((len(numbers), views, work.backbone.size), np.float32)
        for view in range(views):
            work.tick()
            images, labels = _read(records, numbers, view)
            features[:, view] = running.run(images)
            work.progress.report(len(numbers))
        write_at(descriptor, features.data.cast("B"), start + numbers.start * image_bytes)
        write_at(descriptor, labels.data.cast("B"), HEADER_BYTES + numbers.start * label_bytes)
    write_at(descriptor, content_digest(descriptor, end, work.tick), end)
    os.fsync(descriptor)
    write_at(descriptor, header(identity), 0)
    os.fsync(descriptor)


def _batches(images: int) -> Iterator[range]:
    for first in range(0, images, BATCH):
        yield range(first, min(first + BATCH, images))


def _read(records: Records, numbers: range, view: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of a view, as the network takes them, and their labels. View 0 is the middle crop; any other is that of
    the epoch of its number in a training with VIEW_SEED that reads the images in their order."""
    layout, count = records.layout, len(numbers)
    windows = layout.at_random(VIEW_SEED, view, numbers.start, count) if view else layout.centre(count)
    images = np.empty((count, *layout.input_shape), np.uint8)
    labels = np.empty((count, *layout.label_shape), np.float32)
    records.read(numbers, images, labels, windows)
    return images, labels


def _remove_old(kept: Path) -> None:
    """Remove the least recently used files of the dataset beyond MAX_FILES and MAX_BYTES; never `kept`."""
    files = sorted(kept.parent.glob(f"*{SUFFIX}"), key=lambda file: (file != kept, -file.stat().st_mtime_ns))
    total = 0
    for number, file in enumerate(files):
        total += file.stat().st_size
        if file != kept and (number >= MAX_FILES or total > MAX_BYTES):
            file.unlink(missing_ok=True)
            logger.info("removed the features %s, which were not used for long", file)
