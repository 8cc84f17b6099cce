"""An example picture at the size of a dataset, as DIGITS's dataset page shows it."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from PIL import Image, ImageDraw

from datasets.imagedb.images.formats import data_url
from datasets.imagedb.images.resize import resize
from datasets.imagedb.store.payloads import encode_image

WIDTH, HEIGHT = 480, 320  # of the picture before it is resized
SKY, SUN, HILLS, HOUSE, ROOF = "#8fc4e8", "#f6d04d", "#5d9a4a", "#d9c7a8", "#a4472f"
MEDIA_TYPES = {"none": "image/bmp", "png": "image/png", "jpg": "image/jpeg"}


class ResizedExample(NamedTuple):
    """The resized picture, encoded as a record would hold it, as a data URL; and its bytes in a record."""

    url: str
    bytes: int


def resized_example(width: int, height: int, channels: int, mode: str, encoding: str) -> ResizedExample:
    """The example picture at this size."""
    image = resize(example().convert("L" if channels == 1 else "RGB"), width, height, mode)
    payload = encode_image(image, encoding)
    url = data_url(payload, MEDIA_TYPES[encoding])
    return ResizedExample(url, width * height * channels if encoding == "none" else len(payload))


@cache
def example() -> Image.Image:
    """A landscape with a house and a round sun, which each resize mode changes in another way."""
    image = Image.new("RGB", (WIDTH, HEIGHT), SKY)
    draw = ImageDraw.Draw(image)
    draw.ellipse((330, 30, 420, 120), SUN)
    draw.ellipse((-120, 190, 300, 520), HILLS)
    draw.ellipse((180, 220, 640, 560), HILLS)
    draw.rectangle((90, 150, 190, 235), HOUSE)
    draw.polygon(((75, 155), (140, 95), (205, 155)), ROOF)
    draw.rectangle((128, 190, 152, 235), ROOF)
    return image
