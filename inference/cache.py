"""A cache of loaded snapshots, least recently used first out."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import NamedTuple

from digits_project.common.digests import State
from digits_project.common.shared_memory.web_processes import shared
from inference.engine.predictor import Predictor

MAX_LOADED = 8
# Of the model files of all web processes of this host; loaded they take about as much. The current one of each process
# is kept in any case.
MAX_BYTES = 2 << 30


class _Key(NamedTuple):
    onnx_file: Path
    state: State


_loaded: OrderedDict[_Key, Future[Predictor]] = OrderedDict()  # most recently used last
_lock = threading.Lock()


def predictor(onnx_file: Path, load: Callable[[Path], Predictor] = Predictor) -> Predictor:
    """The predictor of that file, loaded if needed; a file that was replaced or changed is loaded again.

    Two requests for a snapshot that is not loaded load it once, and other requests don't wait for it. Raises
    FileNotFoundError, and the exceptions of `load`.
    """
    key = _Key(onnx_file, State.of(onnx_file))
    with _lock:
        cold = key not in _loaded
        if cold:
            _make_room(key)
            _loaded[key] = Future()
        _loaded.move_to_end(key)
        found = _loaded[key]
    if cold:
        _load(key, found, load)
    return found.result()


def _load(key: _Key, loading: Future[Predictor], load: Callable[[Path], Predictor]) -> None:
    try:
        loading.set_result(load(key.onnx_file))
    except BaseException as fault:
        with _lock:
            if _loaded.get(key) is loading:
                del _loaded[key]  # the next request tries again
        loading.set_exception(fault)
        raise


def _make_room(wanted: _Key) -> None:
    """Drop earlier versions of the file, then the least recently used predictors."""
    for key in [key for key in _loaded if key.onnx_file == wanted.onnx_file]:
        del _loaded[key]
    while _loaded and (len(_loaded) >= MAX_LOADED or _bytes(wanted, *_loaded) > MAX_BYTES // shared().count):
        _loaded.popitem(last=False)


def _bytes(*keys: _Key) -> int:
    return sum(key.state.size for key in keys)
