"""The images that a scan found. Their paths are on disk; an image takes eight bytes of memory."""

from __future__ import annotations

import mmap
import os
from array import array
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from datasets.imagedb.readers.file_summary import Summaries

_BLOCK = 4096  # images at a time, to keep temporary lists small


class Listing:
    """Images of one folder, grouped by category; image i of category c has starts[c] <= i < starts[c + 1].

    `names` are the categories in order. Images are read only in `roots`; `summaries` has one of each file. The creator
    of the listing sets both. Forked children can read it.
    """

    def __init__(self, root: Path, names: list[str], starts: array, offsets: array, paths: mmap.mmap):
        self.root = root
        self.roots: Sequence[Path] = ()
        self.summaries = Summaries()
        self.names = names
        self.starts = np.frombuffer(starts, np.int64)
        self._offsets = np.frombuffer(offsets, np.int64)
        self._paths = paths
        self._prefix = _prefix(root)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def counts(self) -> np.ndarray:
        """The number of images in each category."""
        return np.diff(self.starts)

    def relative_path(self, image: int) -> bytes:
        """The path below the root, as the file system encodes it."""
        return self._paths[self._offsets[image] : self._offsets[image + 1]]

    def relative_paths(self, start: int, stop: int) -> Iterator[bytes]:
        """The same of the images from `start` to before `stop`."""
        for first in range(start, stop, _BLOCK):
            ends = self._offsets[first : min(first + _BLOCK, stop) + 1].tolist()
            for begin, end in pairwise(ends):
                yield self._paths[begin:end]

    def path(self, image: int) -> bytes:
        """The full path, as the file system encodes it."""
        return self._prefix + self.relative_path(image)

    def categories(self, images: np.ndarray) -> np.ndarray:
        """The category (an index into `names`) of each image."""
        return np.searchsorted(self.starts, images, side="right") - 1


class LabelledListing(Listing):
    """Images in any order, each with its category and, in lists with such a column, its group; paths are absolute."""

    def __init__(self, names: list[str], labels: array, groups: Sequence[str], offsets: array, paths: mmap.mmap):
        super().__init__(Path("/"), names, array("q", [0]), offsets, paths)
        self._labels = np.frombuffer(labels, np.int32)
        self._groups = groups

    def counts(self) -> np.ndarray:
        return np.bincount(self._labels, minlength=len(self.names))

    def categories(self, images: np.ndarray) -> np.ndarray:
        return self._labels[images]

    def group_names(self) -> Iterator[str]:
        """The name of each image's group."""
        return iter(self._groups)


class ListingWriter:
    """Builds a listing, one category after the other. `root` is absolute; `file` is a working file, removed at the
    end."""

    def __init__(self, root: Path, file: Path):
        self._root = root
        self._skip = len(_prefix(root))
        self._path = file
        self._file = file.open("w+b", buffering=1 << 16)
        self._names: list[Any] = []
        self._starts, self._offsets = array("q", [0]), array("q", [0])

    def __enter__(self) -> ListingWriter:
        return self

    def __exit__(self, *_) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def add(self, path: str) -> None:
        """Add an image, by its full path, to the category that end_category() will name."""
        relative = os.fsencode(path)[self._skip :]
        self._file.write(relative)
        self._offsets.append(self._offsets[-1] + len(relative))

    def end_category(self, name: str) -> None:
        self._names.append(name)
        self._starts.append(len(self))

    def listing(self) -> Listing:
        """The listing of what was added, at least one image. The mapping stays valid after the file is removed."""
        return Listing(self._root, self._names, self._starts, self._offsets, self._mapping())

    def labelled(self, names: list[str], labels: array, groups: Sequence[str]) -> LabelledListing:
        """A listing in which `labels` (int), not the order, give the category of each image; the root must be /.

        groups: the name of each image's group, or empty."""
        return LabelledListing(names, labels, groups, self._offsets, self._mapping())

    def _mapping(self):
        self._file.flush()
        return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)


def _prefix(root):
    """The common prefix of all image paths, with the slash."""
    return os.fsencode(root / "_")[:-1]
