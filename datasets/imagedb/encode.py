"""The work of a worker process: reads and encodes the images of one task."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from datasets.imagedb.images.confined import opener
from datasets.imagedb.images.decoding import BadImage, Look, read_image
from datasets.imagedb.spec import Spec
from datasets.imagedb.split import Part
from datasets.imagedb.store.payloads import encode_image

# NAME.sizes: width and height of the file of each record, uint16; datasets of earlier versions lack it.
SIZES_SUFFIX = ".sizes"
MAX_STORED_SIDE = 65_535  # of a file's image; a larger one is stored as this
_MAX_IMAGES = 64  # per task: enough to make passing results cheap
_MAX_BYTES = 4 << 20  # of pixels per task; limits the memory in use at once
_CACHED_BYTES = 128 << 10  # of pixels; they fit into a processor's cache beside a decoder's tables
_MIN_SHARE = 8  # a task can be this much smaller at the end, so that all workers end at the same time
_TASKS_LEFT = 4  # per worker, for the same reason


class Task(NamedTuple):
    """Images of one part: its number, and their indexes in its listing."""

    part: int
    images: np.ndarray


@dataclass(frozen=True)
class Encoded:
    """The result of one task: the payload of each image, or None with the reason in `failed`, by position.

    `remarks` are remarks on images that were read, by position. `sizes` (uint16, N×2) are the widths and heights of the
    files' images, 0 for those that failed. `total` (uint32, H×W×C) is the sum of the images if the
    mean is needed.
    """

    payloads: list[bytes | None]
    failed: dict[int, str]
    remarks: list[tuple[int, str]]
    sizes: np.ndarray
    total: np.ndarray | None


@dataclass(frozen=True)
class Encoder:
    """Reads, resizes and encodes images of several parts by the spec. The images of the first one, train, are also
    summed for the mean.

    `white_level` is the 16-bit sample value that becomes 255.
    """

    parts: Sequence[Part]
    spec: Spec
    white_level: int

    def useful(self, workers: int) -> int:
        """How many of so many workers have something to do."""
        least, _ = self._task_sizes()
        return min(workers, -(-self._planned() // least))

    def tasks(self, workers: int) -> Iterator[Task]:
        """All images in order, in tasks for so many workers."""
        least, most = self._task_sizes()
        left = self._planned()
        for number, part in enumerate(self.parts):
            start = 0
            while start < len(part.images):
                share = left // (_TASKS_LEFT * workers)
                images = part.images[start : start + max(least, min(most, share))]
                yield Task(number, images)
                start += len(images)
                left -= len(images)

    def _planned(self):
        return sum(len(part.images) for part in self.parts)

    def _task_sizes(self):
        """The smallest and the largest number of images of a task."""
        spec = self.spec
        most = max(1, min(_MAX_IMAGES, _MAX_BYTES // _pixel_bytes(spec)))
        return max(1, most // _MIN_SHARE), most

    def __call__(self, task: Task) -> Encoded:
        spec, listing = self.spec, self.parts[task.part].listing
        payloads: list[bytes | None] = []
        failed: dict[int, str] = {}
        remarks: list[tuple[int, str]] = []
        said: list[str] = []
        sizes: list[tuple[int, int]] = []
        read = self._reader(listing.roots, said.append, sizes.append)
        of_images = np.zeros((len(task.images), 2), np.uint16)
        total = np.zeros((spec.height, spec.width, spec.channels), np.uint32) if task.part == 0 else None
        # Several small images are read before they are encoded: decoder and encoder would push each other's tables out
        # of the processor's cache for every image, which takes a quarter of the time.
        together = max(1, _CACHED_BYTES // _pixel_bytes(spec))
        for start in range(0, len(task.images), together):
            pictures: list[Image.Image | None] = []
            for position, image in enumerate(task.images[start : start + together].tolist(), start):
                said.clear()
                try:
                    pictures.append(read(os.fsdecode(listing.path(image))))
                except BadImage as error:
                    pictures.append(None)
                    failed[position] = str(error)
                else:
                    remarks += [(position, remark) for remark in said]
                    of_images[position] = np.minimum(sizes[-1], MAX_STORED_SIDE)
            if total is not None:
                _add(pictures, total)
            payloads += [encode_image(picture, spec.encoding) if picture else None for picture in pictures]
        return Encoded(payloads, failed, remarks, of_images, total)

    def _reader(self, roots, remark, tell_size):
        """A function that reads the image of a path."""
        spec = self.spec
        size: dict[str, Any] = {"width": spec.width, "height": spec.height, "channels": spec.channels}
        extra: dict[str, Any] = {
            "look": Look(spec.alpha_background, self.white_level, remark),
            "tell_size": tell_size,
        }
        return partial(read_image, **size, resize_mode=spec.resize_mode, opener=opener(roots), **extra)


def _add(pictures, total):
    """Add the pixels of the readable images to `total`."""
    pixels = b"".join(picture.tobytes() for picture in pictures if picture)
    images = np.frombuffer(pixels, np.uint8).reshape(-1, *total.shape)
    total += images[0] if len(images) == 1 else images.sum(axis=0, dtype=np.uint32)  # a large sum takes memory


def _pixel_bytes(spec):
    return spec.width * spec.height * spec.channels
