"""The survey of a source of images before a build: what a build would find, without decoding every image."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from itertools import islice, zip_longest
from pathlib import Path

from PIL import Image, ImageOps

from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.images.confined import opener
from datasets.imagedb.images.decoding import BadImage, decode_small
from datasets.imagedb.readers import archive
from datasets.imagedb.readers.category_names import comparable
from datasets.imagedb.readers.folder import no_images, walk
from datasets.imagedb.readers.split_folders import find_splits
from datasets.imagedb.spec import FolderSource
from digits_project.common.confined_files import EVERYWHERE, open_file
from digits_project.common.errors import BadInput

SAMPLES = 9  # images of a category that are shown
MAX_PICTURED = 30  # categories of which images are shown
MAX_SKIPPED = 30  # skipped files that are named
EXAMPLE_SIDE = 640  # pixels of the images on which resize modes are shown
EXAMPLES = 3
THUMBNAIL_SIDE = 72
# A survey takes no longer, and is then incomplete: to find the images, to count those of an archive, to decode some.
FINDING_SECONDS, COUNTING_SECONDS, PICTURING_SECONDS = 6.0, 3.0, 4.0


@dataclass
class SurveyedCategory:
    """A category: how many images of it were found, for each folder of a split, and a few of these images."""

    name: str
    counts: dict[str, int] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    pictures: list[bytes] = field(default_factory=list)  # JPEG

    @property
    def images(self) -> int:
        return sum(self.counts.values())


@dataclass
class Survey:
    """What a source holds.

    splits: the splits that have a folder of their own; the others are taken from train.
    is_complete: False if there are more images than could be found in the time for a survey.
    sizes: (width, height) of some images. are_gray: whether all of them are.
    examples: large enough to show how they would be resized.
    """

    categories: list[SurveyedCategory] = field(default_factory=list)
    splits: list[str] = field(default_factory=list)
    is_complete: bool = True
    skipped: int = 0
    skipped_reasons: dict[str, int] = field(default_factory=dict)
    skipped_files: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    sizes: list[tuple[int, int]] = field(default_factory=list)
    are_gray: bool = False
    examples: list[Image.Image] = field(default_factory=list)

    @property
    def images(self) -> int:
        return sum(category.images for category in self.categories)


def survey(
    sources: Mapping[str, FolderSource], roots: Sequence[Path], aside: Path, seconds: float = FINDING_SECONDS
) -> Survey:
    """Look at the sources of the splits; `aside` is an empty folder for working files. Raises BadInput as a build does
    for what it finds at its start."""
    with BuildLog(aside / "survey.log") as log:
        surveyor = _Surveyor(roots, aside, log, time.monotonic() + seconds)
        for split, source in sources.items():
            surveyor.look_into(split, source)
        found = surveyor.found
        if not found.images and found.is_complete:
            raise BadInput(
                log.shown(no_images(surveyor.looked_at)) + (f" {log.skipped_in_words()}" if log.skipped else "")
            )
        surveyor.picture()
        found.skipped, found.skipped_reasons, found.warnings = log.skipped, log.skipped_reasons, log.warnings
    with (aside / "survey.log").open(encoding="utf-8") as lines:
        skipped = (line.removeprefix("skipped ").rstrip("\n") for line in lines if line.startswith("skipped "))
        found.skipped_files = list(islice(skipped, MAX_SKIPPED))
    return found


class _Late(Exception):
    """The time for the survey is over."""


class _Surveyor:
    """One survey, while it is made."""

    def __init__(self, roots: Sequence[Path], aside: Path, log: BuildLog, until: float):
        self.found = Survey()
        self.looked_at = aside
        self._roots = roots
        self._aside = aside
        self._log = log
        self._until = until
        self._categories: dict[str, SurveyedCategory] = {}
        self._opener_of: dict[str, Callable] = {}  # by the path of an image
        self._whole: set[str] = set()  # the images of archives that were unpacked whole

    def look_into(self, split: str, source: FolderSource) -> None:
        folder, roots = source.folder, self._roots
        if source.sent or archive.is_archive(folder, roots):
            folder = self._unpacked(split, source)
            roots = (self._aside,)
        layout = find_splits(folder, roots) if split == "train" else None
        folders = layout.folders if layout else {split: folder}
        for name, inner in folders.items():
            self._count(name, inner, roots)

    def picture(self) -> None:
        """Decode some images of the first categories, one of each category before the second of any."""
        until = time.monotonic() + PICTURING_SECONDS
        pictured = [category for category in self.found.categories if category.paths][:MAX_PICTURED]
        gray = True
        for category, path in _in_turns(pictured):
            if time.monotonic() > until:
                break
            try:
                picture, size = decode_small(path, EXAMPLE_SIDE, self._opener_of[path])
            except BadImage as bad:
                self._log.skip(path, str(bad))
                continue
            gray = gray and picture.mode == "L"
            self.found.sizes.append(size)
            if len(self.found.examples) < EXAMPLES:
                self.found.examples.append(picture.copy())
            category.pictures.append(_thumbnail(picture))
        self.found.are_gray = gray and bool(self.found.sizes)

    def _count(self, split: str, folder: Path, roots: Sequence[Path]) -> None:
        self.looked_at = folder
        self.found.splits.append(split)
        reads = opener(roots)
        for name, path in walk(folder, roots, self._log, self._goes_on):
            category = self._category(name)
            if path is not None:
                category.counts[split] = category.counts.get(split, 0) + 1
                is_whole = path in self._whole or not path.startswith(f"{self._aside}/")
                if is_whole and len(category.paths) < SAMPLES:
                    category.paths.append(path)
                    self._opener_of[path] = reads

    def _category(self, name: str) -> SurveyedCategory:
        key = comparable(name)
        if key not in self._categories:
            self._categories[key] = SurveyedCategory(name)
            self.found.categories.append(self._categories[key])
        return self._categories[key]

    def _goes_on(self) -> bool:
        if time.monotonic() <= self._until:
            return True
        self.found.is_complete = False
        return False

    def _unpacked(self, split: str, source: FolderSource) -> Path:
        """The folder with the images of an archive, most of them without their ends."""
        into, name = self._aside / split, source.name or str(source.folder)
        self._log.call(into, name)
        with open_file(source.folder, EVERYWHERE if source.sent else self._roots) as file:
            try:
                archive.unpack_samples(file, name, into, self._log, self._tick, self._whole)
            except _Late:
                self.found.is_complete = False
                self._until = time.monotonic() + COUNTING_SECONDS
        return archive.top(into)

    def _tick(self, fraction: float) -> None:
        if time.monotonic() > self._until:
            raise _Late


def _in_turns(categories: Sequence[SurveyedCategory]) -> Iterator[tuple[SurveyedCategory, str]]:
    """The first image of each category, then the second of each …"""
    for paths in zip_longest(*(category.paths for category in categories)):
        yield from ((category, path) for category, path in zip(categories, paths, strict=True) if path is not None)


def _thumbnail(picture: Image.Image) -> bytes:
    small = ImageOps.fit(picture.convert("RGB"), (THUMBNAIL_SIDE, THUMBNAIL_SIDE))
    file = BytesIO()
    small.save(file, "JPEG", quality=80)
    return file.getvalue()
