"""Reads the images of a dataset from its record files, for pages and routes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from datasets.imagedb.images import decoding
from datasets.imagedb.store.payloads import encode
from datasets.imagedb.store.records import RecordReader
from datasets.models import Dataset
from digits_project.common.errors import BadInput, DamagedFile

A_PAGE = 60
STRIP, STRIP_SIDE = 6, 40  # number of images in a strip, and its height in pixels
SMALL_SIDE = 128  # pixels of a thumbnail
AS_THEY_ARE = {"PNG": "image/png", "JPEG": "image/jpeg"}
KEPT = 16  # cached indexes of record files


class NoSuchImage(Exception):
    """The dataset has no such split, category or record."""


class GalleryPage(NamedTuple):
    """A page of images of a split: their record numbers, the page's number, the number of pages and of all images."""

    records: list[int]
    number: int
    pages: int
    images: int


def image(dataset: Dataset, split: str, number: int) -> tuple[bytes, str]:
    """A record's image in a format that browsers show, and its media type.

    Raises NoSuchImage, or DamagedFile, as every function of this module does.
    """
    with _reader(dataset, split) as reader:
        payload = _payload(reader, number)
    kind = decoding.sniff(payload[:64])
    if kind in AS_THEY_ARE:
        return payload, AS_THEY_ARE[kind]
    return encode(_pixels(dataset, split, payload), "png"), "image/png"


def thumbnail(dataset: Dataset, split: str, number: int) -> tuple[bytes, str]:
    """A record's image, reduced if it is large, and its media type."""
    content, media_type = image(dataset, split, number)
    with Image.open(BytesIO(content)) as opened:
        if max(opened.size) <= SMALL_SIDE:
            return content, media_type
        small = opened.convert("RGB")
    small.thumbnail((SMALL_SIDE, SMALL_SIDE))
    file = BytesIO()
    small.save(file, "JPEG", quality=85)
    return file.getvalue(), "image/jpeg"


def strip(dataset: Dataset) -> bytes:
    """A few images of the training split side by side, as PNG. Raises NoSuchImage."""
    drawn = Image.new("RGBA", (STRIP * (STRIP_SIDE + 2), STRIP_SIDE))
    with _reader(dataset, "train") as reader:
        for place, number in enumerate(range(0, len(reader), max(1, len(reader) // STRIP))[:STRIP]):
            thumbnail = _thumbnail(_pixels(dataset, "train", _payload(reader, number)))
            drawn.paste(thumbnail, (place * (STRIP_SIDE + 2), (STRIP_SIDE - thumbnail.height) // 2))
    file = BytesIO()
    drawn.save(file, "PNG")
    return file.getvalue()


def _pixels(dataset: Dataset, split: str, payload: bytes) -> np.ndarray:
    try:
        return decoding.decode_record(payload)
    except BadInput as wrong:
        raise DamagedFile(f"{dataset.pk}/{split}.rec is damaged: {wrong} Build the dataset again.") from wrong


def _thumbnail(pixels: np.ndarray) -> Image.Image:
    thumbnail = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    thumbnail.thumbnail((STRIP_SIDE, STRIP_SIDE))
    return thumbnail


def matching(dataset: Dataset, split: str, category: int | None = None, text: str = "") -> Sequence[int] | np.ndarray:
    """The records of a split that are of this category, if one is given, and whose file's path contains the text."""
    with _reader(dataset, split) as reader:
        count = len(reader)
    if category is None and not text:
        return range(count)
    found = np.ones(count, bool)
    if category is not None:
        categories = labels(dataset, split)[:count]
        found[: len(categories)] = categories == category
        found[len(categories) :] = False
    if text:
        wanted = text.casefold()
        paths = (wanted in path.casefold() for path in _paths(dataset, split))
        has_text = np.fromiter(islice(paths, count), bool)
        found[: len(has_text)] &= has_text
        found[len(has_text) :] = False
    return np.flatnonzero(found)


def page(dataset: Dataset, split: str, category: int | None, number: int, text: str = "") -> GalleryPage:
    """The records that match, sixty a page. A number beyond the last page gives the last."""
    found = matching(dataset, split, category, text)
    pages = max(1, math.ceil(len(found) / A_PAGE))
    number = min(max(number, 1), pages)
    shown = found[(number - 1) * A_PAGE : number * A_PAGE]
    return GalleryPage([int(record) for record in shown], number, pages, len(found))


def labels(dataset: Dataset, split: str) -> np.ndarray:
    """The category of every record of a split, int32."""
    path = dataset.directory / f"{split}.txt"
    return _labels(path, _changed(path))


def source_path(dataset: Dataset, split: str, number: int) -> str:
    """The path of the file that a record was made of; "" if the dataset does not have it."""
    return next(islice(_paths(dataset, split), number, None), "")


def record_bytes(dataset: Dataset, split: str, number: int) -> int:
    """The bytes that a record's image takes."""
    with _reader(dataset, split) as reader:
        return len(_payload(reader, number))


def _paths(dataset: Dataset, split: str) -> Iterator[str]:
    """The path of the file of every record, in their order."""
    path = dataset.directory / f"{split}.txt"
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            for line in file:
                yield line.rpartition(" ")[0]
    except OSError as gone:
        raise DamagedFile(f"{path.parent.name}/{path.name} can't be read. Build the dataset again.") from gone


def version(dataset: Dataset) -> str:
    """A part of each image's URL that changes when the dataset is built again, because browsers cache images a day."""
    return f"v={dataset.ended_at:%Y%m%d%H%M%S}" if dataset.ended_at else ""


def category_of(dataset: Dataset, labels: np.ndarray | None, record: int) -> str:
    """The name of a record's category; "" if it has none."""
    known = labels is not None and record < len(labels) and 0 <= labels[record] < len(dataset.categories)
    return dataset.categories[labels[record]] if labels is not None and known else ""


def _payload(reader: RecordReader, number: int) -> bytes:
    if not 0 <= number < len(reader):
        raise NoSuchImage(f"There is no record {number}; there are {len(reader)}.")
    return reader.labels(number)[1]


def _reader(dataset: Dataset, split: str) -> RecordReader:
    if not dataset.entries(split):
        raise NoSuchImage(f"There is no split {split}.")
    path = dataset.directory / f"{split}.rec"
    return _index(path, _changed(path)).reopened()


def _changed(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError as gone:
        raise DamagedFile(f"{path.parent.name}/{path.name} is missing. Build the dataset again.") from gone


@lru_cache(KEPT)
def _index(path: Path, changed: int) -> RecordReader:
    """A reader with its index loaded and its file closed. An open file would keep a deleted dataset on disk."""
    with RecordReader(path) as reader:
        return reader


@lru_cache(KEPT)
def _labels(path: Path, changed: int) -> np.ndarray:
    try:
        with path.open("rb") as file:
            return np.fromiter((int(line.rsplit(b" ", 1)[1]) for line in file), np.int32)
    except (OSError, ValueError, IndexError) as odd:  # for example, an image path with a line break
        named = f"{path.parent.name}/{path.name}"
        raise DamagedFile(f"{named} can't be read, so the categories of the images are unknown.") from odd
