"""The work of a worker process: reads and encodes the images of one task."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from datasets.imagedb.images.confined import opener
from datasets.imagedb.images.decoding import BadImage, encode, read_array
from datasets.imagedb.readers.listing import Listing
from datasets.imagedb.spec import Spec

_MAX_IMAGES = 32
_MAX_BYTES = 4 << 20  # of pixels per task; limits the memory in use at once


@dataclass(frozen=True)
class Encoded:
    """The result of one task: the payload of each image, or None with the reason in `failed`, by position.

    `remarks` are remarks on images that were read, by position. `total` (uint32, H×W×C) is the sum of the images if the
    mean is needed.
    """

    payloads: list[bytes | None]
    failed: dict[int, str]
    remarks: list[tuple[int, str]]
    total: np.ndarray | None


@dataclass(frozen=True)
class Encoder:
    """Reads, resizes and encodes images of a listing by the spec. `summing`: also sum them for the mean.

    `white_level` is the 16-bit sample value that becomes 255.
    """

    listing: Listing
    spec: Spec
    summing: bool
    white_level: int

    @property
    def images_per_task(self) -> int:
        """The number of images per task: enough to make passing results cheap, few enough to keep them small."""
        pixels = self.spec.width * self.spec.height * self.spec.channels
        return max(1, min(_MAX_IMAGES, _MAX_BYTES // pixels))

    def __call__(self, images: np.ndarray) -> Encoded:
        spec = self.spec
        payloads: list[bytes | None] = []
        failed: dict[int, str] = {}
        remarks: list[tuple[int, str]] = []
        opened = opener(self.listing.roots)
        total = np.zeros((spec.height, spec.width, spec.channels), np.uint32) if self.summing else None
        for position, image in enumerate(images):
            said: list[str] = []
            try:
                pixels = self._pixels(Path(os.fsdecode(self.listing.path(image))), opened, said.append)
            except BadImage as error:
                payloads.append(None)
                failed[position] = str(error)
                continue
            payloads.append(encode(pixels, spec.encoding))
            remarks += [(position, remark) for remark in said]
            if total is not None:
                total += pixels
        return Encoded(payloads, failed, remarks, total)

    def _pixels(self, path, opened, remark):
        spec = self.spec
        size: dict[str, Any] = {"width": spec.width, "height": spec.height, "channels": spec.channels}
        look = {"alpha_background": spec.alpha_background, "white_level": self.white_level, "remark": remark}
        return read_array(path, **size, resize_mode=spec.resize_mode, opener=opened, **look)
