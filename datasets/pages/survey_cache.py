"""Surveys of images that a page has asked for a moment ago, because each change of a form asks for one again."""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from django.conf import settings

from datasets.imagedb import FolderSource
from datasets.imagedb.surveying.survey import Survey, survey
from digits_project.received.received_file import scratch_folder

MAX_KEPT, KEPT_SECONDS = 4, 300.0  # each takes up to five megabytes
_kept: OrderedDict[tuple, tuple[float, Survey]] = OrderedDict()
_lock = threading.Lock()


def surveyed(sources: Mapping[str, FolderSource]) -> Survey:
    """The survey of these sources, from memory if nothing has changed at their top. Raises BadInput."""
    roots = tuple(settings.DIGITS_DATA_ROOTS)
    key = (roots, *((split, source, _changed(source.folder)) for split, source in sources.items()))
    with _lock:
        moment, found = _kept.get(key, (0.0, None))
    if found is None or time.monotonic() - moment > KEPT_SECONDS:
        with scratch_folder() as aside:
            found = survey(sources, roots, aside)
        with _lock:
            _kept[key] = time.monotonic(), found
            _kept.move_to_end(key)
            while len(_kept) > MAX_KEPT:
                _kept.popitem(last=False)
    return found


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
