"""Opens image files that users name, only in the data roots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from io import FileIO
from pathlib import Path

from datasets.imagedb.images.decoding import BadImage
from digits_project.common.confined_files import Outside, open_raw

OUTSIDE = "it is not in a folder that this server may read"


def opener(roots: Sequence[Path]) -> Callable[[str | Path], FileIO]:
    """A function that opens a file for decode() if the file, with links resolved, is in `roots`."""
    return partial(_open_image, tuple(roots))


def _open_image(roots, path):
    try:
        return open_raw(path, roots)
    except Outside as outside:
        raise BadImage(OUTSIDE) from outside
