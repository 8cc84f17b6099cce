"""A file of features, laid out as one of decoded pixels: an image of 1×views×size holds one view in each row."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from models_app.training.data.crops import InputLayout
from models_app.training.data.pixel_file import HEADER_BYTES, LABEL_BYTES, PixelFile
from models_app.training.features.plan import FEATURE_BYTES

SUFFIX = ".features"
DIGEST_BYTES = 32
BLOCK_BYTES = 1 << 20


def layout_of_features(images: InputLayout, size: int, views: int) -> InputLayout:
    """The layout of the features of such images: a training reads a random view of each, as it does with crops."""
    return InputLayout(
        (1, views, size), (1, 1, size), categories=images.categories, label_shape=images.label_shape, dtype="float32"
    )


def feature_bytes(images: int, layout: InputLayout) -> int:
    """The size of the file of the features of so many images."""
    of_image = LABEL_BYTES * math.prod(layout.label_shape) + FEATURE_BYTES * math.prod(layout.image_shape)
    return HEADER_BYTES + images * of_image + DIGEST_BYTES


class FeatureFile(PixelFile):
    """The open file. A SHA-256 of labels and features ends it."""

    TRAILER_BYTES = DIGEST_BYTES

    def __init__(
        self, path: Path, layout: InputLayout, identity: dict, tick: Callable[[], None], is_new: bool = False
    ) -> None:
        """Open the file and read it once, unless this process has just written it (`is_new`). Raises FileNotFoundError
        if it is missing, damaged or of another identity."""
        super().__init__(path, layout, identity, threads=1)
        if is_new:
            return
        try:
            if os.pread(self._descriptor, DIGEST_BYTES, self._end) != content_digest(self._descriptor, self._end, tick):
                raise FileNotFoundError(f"{path} is damaged: its SHA-256 differs")
        except BaseException:
            self.close()
            raise


def content_digest(descriptor: int, end: int, tick: Callable[[], None]) -> bytes:
    """The SHA-256 of the labels and features, which end at `end`."""
    digest = hashlib.sha256()
    for block in _blocks(descriptor, end):
        digest.update(block)
        tick()
    return digest.digest()


def _blocks(descriptor: int, end: int) -> Iterator[bytes]:
    for place in range(HEADER_BYTES, end, BLOCK_BYTES):
        yield os.pread(descriptor, min(BLOCK_BYTES, end - place), place)
