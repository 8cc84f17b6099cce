"""The least that building a database takes: Pillow on all cores decodes, resizes and encodes, one process writes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

# As imagedb encodes its records.
OPTIONS: dict[str, dict[str, Any]] = {
    "png": {"format": "PNG", "compress_level": 1},
    "jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},
}
_CHUNK = 32


def encode_all(paths: Sequence[str], size: int, mode: str, encoding: str, workers: int, into: Path) -> None:
    """Write all images as size×size pixels of this mode, one after the other, into one file."""
    work = partial(_encode, size=size, mode=mode, encoding=encoding)
    with multiprocessing.get_context("fork").Pool(workers) as pool, into.open("wb") as file:
        file.writelines(pool.imap(work, paths, _CHUNK))


def _encode(path, size, mode, encoding):
    image = Image.open(path)
    image = image if image.mode == mode else image.convert(mode)
    if image.size != (size, size):
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    buffer = BytesIO()
    image.save(buffer, **OPTIONS[encoding])
    return buffer.getvalue()
