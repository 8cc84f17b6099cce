"""Folders of images to build databases from: photos, and many small images."""

from __future__ import annotations

import multiprocessing
import shutil
import struct
from functools import cache, partial
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path
from zlib import crc32

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits, load_sample_image

CATEGORIES = 10
_PHOTO_SIZE = (400, 533)  # as photos of shops and catalogues have
_DIGIT_SIZE = (28, 28)
_CHUNK = 512
_ENCODED = 500  # digits that write_numbered_digits() repeats
_PNG_HEADER = 33  # bytes of the signature and the first chunk


def write_photos(folder: Path, count: int, source: str) -> Path:
    """`count` photos, each different: those of `source` (one subfolder per category), again with a byte more at the end
    if there are not enough, or sections of two photos if no source is named."""
    _make_categories(folder)
    found = sorted(path for path in Path(source).glob("*/*") if path.is_file()) if source else []
    for number, path in enumerate(islice(cycle(found), count)):
        target = folder / str(number % CATEGORIES) / f"{number:06}.jpg"
        shutil.copyfile(path, target)
        with target.open("ab") as file:
            file.write(b"\0" * (number // len(found)))
    if not found:
        _run(partial(_write_section, folder), count)
    return folder


def write_digits(folder: Path, count: int) -> Path:
    """`count` handwritten digits of 28×28 pixels as PNG, each different."""
    _make_categories(folder)
    _run(partial(_write_digit, folder), count)
    return folder


def write_numbered_digits(folder: Path, count: int) -> Path:
    """`count` small PNGs, each different by a comment with its number, written without encoding each one."""
    _make_categories(folder)
    files = [_png(image) for image in _digits()[0][:_ENCODED]]
    for number in range(count):
        header, rest = files[number % len(files)]
        comment = _png_chunk(b"tEXt", b"number\0%d" % number)
        (folder / str(number % CATEGORIES) / f"{number:07}.png").write_bytes(header + comment + rest)
    return folder


def _png(image):
    """The bytes of a PNG up to its header's end, and the rest."""
    buffer = BytesIO()
    Image.fromarray(image.astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()[:_PNG_HEADER], buffer.getvalue()[_PNG_HEADER:]


def _png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc32(kind + data))


def _make_categories(folder):
    for category in range(CATEGORIES):
        (folder / str(category)).mkdir(parents=True)


def _run(write, count):
    with multiprocessing.get_context("fork").Pool() as pool:
        for _ in pool.imap_unordered(write, range(count), _CHUNK):
            pass


def _write_section(folder, number):
    """A random section of a photo, at the size of a photo."""
    random = np.random.default_rng(number)
    photo = _photos()[number % 2]
    left, top = random.integers(0, photo.width // 2), random.integers(0, photo.height // 2)
    box = (left, top, left + photo.width // 2, top + photo.height // 2)
    section = photo.resize(_PHOTO_SIZE, Image.Resampling.BICUBIC, box=box)
    section.save(folder / str(number % CATEGORIES) / f"{number:06}.jpg", quality=90)


def _write_digit(folder, number):
    """A digit, shifted a little, with noise on its strokes."""
    random = np.random.default_rng(number)
    images, targets = _digits()
    shifted = np.roll(images[number % len(images)], random.integers(-3, 4, 2), (0, 1))
    noisy = np.where(shifted > 0, np.clip(shifted + random.integers(-12, 12, _DIGIT_SIZE), 0, 255), 0)
    category = folder / str(targets[number % len(images)])
    Image.fromarray(noisy.astype(np.uint8)).save(category / f"{number:06}.png")


@cache
def _photos():
    return [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]


@cache
def _digits():
    bunch = load_digits()
    small = (Image.fromarray((image * 15.9).astype(np.uint8)) for image in bunch.images)
    return [np.asarray(image.resize(_DIGIT_SIZE), np.int16) for image in small], bunch.target
