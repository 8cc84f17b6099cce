"""What fits the images of a survey: a size to store them at, colour or not, and how they look resized."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from datasets.imagedb.images.resize import resize
from datasets.imagedb.spec import ENCODINGS
from datasets.imagedb.store.payloads import encode_image
from datasets.imagedb.surveying.survey import Survey

SIDES = (32, 64, 128, 256)  # the sides that are proposed; networks for photos take parts of 224 of 256
MAX_EXAMPLE_SIDE = 768  # pixels; larger examples would take seconds to encode
KEPT_SIDE = 256  # images that all have one size up to this keep it


class ProposedSize(NamedTuple):
    """A size for the images of a dataset, with the reason."""

    width: int
    height: int
    channels: int
    reason: str


class ResizeExample(NamedTuple):
    """Some images in one resize mode. `scale` is how much smaller they are than those of the dataset."""

    mode: str
    pictures: list[Image.Image]
    scale: float = 1.0


def propose_size(survey: Survey) -> ProposedSize | None:
    """A sensible size for these images; None if none could be read."""
    if not survey.sizes:
        return None
    channels = 1 if survey.are_gray else 3
    width, height = survey.sizes[0]
    if set(survey.sizes) == {(width, height)} and max(width, height) <= KEPT_SIDE:
        return ProposedSize(width, height, channels, "All images that were looked at have this size.")
    short = int(np.median([min(size) for size in survey.sizes]))
    side = max((side for side in SIDES if side <= short), default=SIDES[0])
    reason = f"The shorter side of most images has about {short} pixels"
    reason += "; networks for photos need no more than 256." if short > SIDES[-1] else "."
    return ProposedSize(side, side, channels, reason)


def resized(survey: Survey, width: int, height: int, channels: int, mode: str) -> ResizeExample:
    """The examples of a survey as a dataset would store them; very large ones are made smaller."""
    colour, scale = "L" if channels == 1 else "RGB", max(1.0, max(width, height) / MAX_EXAMPLE_SIDE)
    size = (max(1, round(width / scale)), max(1, round(height / scale)))
    pictures = [resize(picture, *size, mode).convert(colour) for picture in survey.examples]
    return ResizeExample(mode, pictures, scale)


def bytes_per_image(example: ResizeExample) -> dict[str, int]:
    """The average bytes that one of these images takes in the dataset, by encoding."""
    share = example.scale**2 / (len(example.pictures) or 1)
    return {
        encoding: round(share * sum(len(encode_image(picture, encoding)) for picture in example.pictures))
        for encoding in ENCODINGS
    }
