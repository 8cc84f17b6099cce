"""What is known of the images of a split besides the answers: columns, by which an accuracy can be sliced."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np

from datasets.imagedb.encode import SIZES_SUFFIX
from datasets.models import Dataset
from datasets.report.stored_measures import COLUMNS, read_measures

CATEGORY, FOLDER, FILE_TYPE = "category", "folder", "file_type"
WIDTH, HEIGHT, SHAPE = "width", "height", "width_by_height"
NAMES = (CATEGORY, FOLDER, FILE_TYPE, WIDTH, HEIGHT, SHAPE, *COLUMNS)
MAX_FOLDERS = 10_000
NO_FILES = "The dataset does not know the files of its images."
NO_SIZES = "The dataset was built by an earlier version, or from databases, and does not know the sizes of its files."
NO_REPORT = "The dataset has no report, or one of an earlier version; make its report."


class ImageColumn(NamedTuple):
    """A column of the images of a split: a number for each, or the number of a text in `texts`.

    values: None if it can't be had; `why` says so. Images with an unknown value have NaN, or -1.
    """

    name: str
    values: np.ndarray | None
    texts: Sequence[str] | None = None
    why: str = ""


def columns_of(dataset: Dataset, split: str, truths: np.ndarray) -> Iterator[ImageColumn]:
    """All columns, in the order of NAMES. truths: the category of each image."""
    names = dataset.category_names
    yield ImageColumn(CATEGORY, truths, names)
    yield from _of_files(dataset.directory / f"{split}.txt", len(truths), set(names))
    yield from _of_sizes(dataset.directory / f"{split}{SIZES_SUFFIX}", len(truths))
    measures = read_measures(dataset.report_directory, split)
    for name in COLUMNS:
        values = measures[name] if measures else None
        is_there = values is not None and len(values) == len(truths)
        yield ImageColumn(name, values) if is_there else ImageColumn(name, None, why=NO_REPORT)


def _of_files(listing: Path, count: int, categories: Collection[str]) -> Iterator[ImageColumn]:
    folders, types = _Texts(), _Texts()
    with suppress(OSError), listing.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        for line in lines:
            folder, _, file = line.rpartition(" ")[0].rpartition("/")
            folders.add(folder)
            types.add(file.rpartition(".")[2].lower() if "." in file else "")
            if len(folders.texts) > MAX_FOLDERS:
                why = f"The images are in more than {MAX_FOLDERS:,} folders."
                yield from (ImageColumn(name, None, why=why) for name in (FOLDER, FILE_TYPE))
                return
    if len(folders.numbers) != count or list(folders.texts) == [""]:
        yield from (ImageColumn(name, None, why=NO_FILES) for name in (FOLDER, FILE_TYPE))
        return
    yield folders.column(FOLDER, _without_common_parts(folders.texts, categories))
    yield types.column(FILE_TYPE, list(types.texts))


class _Texts:
    """Collects texts, each as the number of its first occurrence."""

    def __init__(self) -> None:
        self.texts: dict[str, int] = {}
        self.numbers: list[int] = []

    def add(self, text: str) -> None:
        self.numbers.append(self.texts.setdefault(text, len(self.texts)))

    def column(self, name: str, shown: Sequence[str]) -> ImageColumn:
        """A column of these texts, of which several can be shown as the same."""
        places = {text: place for place, text in enumerate(dict.fromkeys(shown))}
        of_text = np.array([places[text] for text in shown], np.int32)
        return ImageColumn(name, of_text[np.array(self.numbers, np.int32)], list(places))


def _without_common_parts(folders: Iterable[str], categories: Collection[str]) -> list[str]:
    """The folders below the one that has all, without the names of categories: the camera of camera/cats."""
    parts = [folder.split("/") for folder in folders]
    common = 0
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        common += 1
    return ["/".join(part for part in one[common:] if part not in categories) or "." for one in parts]


def _of_sizes(path: Path, count: int) -> Iterator[ImageColumn]:
    sizes = np.fromfile(path, "<u2").reshape(-1, 2) if path.exists() else np.empty((0, 2))
    if len(sizes) != count or not sizes.any():
        yield from (ImageColumn(name, None, why=NO_SIZES) for name in (WIDTH, HEIGHT, SHAPE))
        return
    width, height = np.where(np.all(sizes > 0, axis=1, keepdims=True), sizes, np.nan).astype(np.float64).T
    yield ImageColumn(WIDTH, width)
    yield ImageColumn(HEIGHT, height)
    yield ImageColumn(SHAPE, width / height)
