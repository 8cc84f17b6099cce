"""Keeps the snapshots that were asked for lately loaded."""

import threading
from functools import lru_cache
from pathlib import Path

from inference.predictor import Predictor

MOST_LOADED = 8

_loading = threading.Lock()


def predictor(onnx_file: Path) -> Predictor:
    """The predictor of that file, loaded if it is not yet; a file that was replaced is loaded anew.

    Raises FileNotFoundError.
    """
    stat = onnx_file.stat()
    with _loading:  # two requests for a cold snapshot load it once
        return _load(onnx_file, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=MOST_LOADED)
def _load(onnx_file: Path, mtime_ns: int, size: int) -> Predictor:
    return Predictor(onnx_file)
