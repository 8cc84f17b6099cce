"""Finds the white level of a dataset's 16-bit images, from the range that they use."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from datasets.imagedb.build_log import BuildLog
from datasets.imagedb.images.confined import opener
from datasets.imagedb.images.decoding import BadImage, highest_deep_sample
from datasets.imagedb.images.depth import FULL_RANGE, white_level_for
from datasets.imagedb.pool import WorkerPool
from datasets.imagedb.readers.listing import Listing
from datasets.imagedb.split import Part

_IMAGES_PER_TASK = 64


@dataclass(frozen=True)
class _Gauge:
    """Run in the worker processes: counts a listing's 16-bit images by the white level that suits each."""

    listing: Listing

    def __call__(self, images: np.ndarray) -> Counter[int]:
        levels: Counter[int] = Counter()
        opened = opener(self.listing.roots)
        for image in images:
            try:
                highest = highest_deep_sample(os.fsdecode(self.listing.path(image)), opened)
            except BadImage:  # the encoding reports these
                continue
            if highest is not None:
                levels[white_level_for(highest)] += 1
        return levels


def white_level(parts: Sequence[Part], workers: int, log: BuildLog, at: Callable[[float], None]) -> int:
    """The white level for all images of the parts; the log gets the reason. `at(fraction)` is called several times a
    second; its exceptions pass through."""
    levels: Counter[int] = Counter()
    candidates = [part.images[part.listing.summaries.can_be_deep()[part.images]] for part in parts]
    planned = sum(map(len, candidates))
    for number, (part, images) in enumerate(zip(parts, candidates, strict=True)):
        if not len(images):
            continue
        before = sum(map(len, candidates[:number]))
        tasks = np.array_split(images, range(_IMAGES_PER_TASK, len(images), _IMAGES_PER_TASK))
        with WorkerPool(_Gauge(part.listing), min(workers, len(tasks))) as pool:
            for position, found in enumerate(pool.map(tasks, partial(at, before / planned))):
                levels += found
                at((before + position * _IMAGES_PER_TASK) / planned)
    return _reported(levels, log)


def _reported(levels, log):
    if not levels:
        return FULL_RANGE
    level, count = max(levels), levels.total()
    fewer = count - levels[level]
    if level < FULL_RANGE:
        log.warn(
            f"{count} images have 16 bits per channel, but none uses more than {level.bit_length()}: {level} "
            "becomes white in all of them, and in images that are classified later. With depth=full, 65535 becomes "
            "white."
        )
    elif fewer:
        log.warn(
            f"{count} images have 16 bits per channel, and {fewer} of them use {_second(levels).bit_length()} or "
            f"fewer: those stay dark, because {FULL_RANGE} becomes white in all of them."
        )
    else:
        log.note(f"{count} images have 16 bits per channel and use all of them: {FULL_RANGE} becomes white")
    return level


def _second(levels):
    return sorted(levels)[-2]
