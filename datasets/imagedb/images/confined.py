"""Opens the files of images that users name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from datasets.imagedb.images.decoding import BadImage
from digits_project.common.confined_files import Outside, open_file

OUTSIDE = "it is not in a folder that this server may read"


def opener(roots: Sequence[Path]) -> Callable[[Path], BinaryIO]:
    """What opens a file for images.decode(), if it lies, with every link followed, under one of the roots."""
    return partial(_open_image, tuple(roots))


def _open_image(roots, path):
    try:
        return open_file(path, roots)
    except Outside as outside:
        raise BadImage(OUTSIDE) from outside
