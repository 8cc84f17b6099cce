"""Resizes images. Building a database and classifying an image both use this function."""

from __future__ import annotations

from PIL import Image

# A triangle filter over all source pixels of a target pixel: antialiased, no ringing, the same on every machine.
FILTER = Image.Resampling.BILINEAR


def resize(image: Image.Image, width: int, height: int, mode: str) -> Image.Image:
    """The image at exactly width × height pixels, in the same colour mode. Deterministic.

    squash ignores the aspect ratio. The other modes keep it and differ in the scale, in source pixels per target pixel:
    crop takes the smaller ratio of width and height (the image covers the target, its centre is kept), fill the larger
    (the whole image fits inside), half_crop the mean of both (one dimension is cropped, the other filled).
    Uncovered pixels are black. DIGITS filled them with random noise, which would give one image two answers.
    """
    if image.size == (width, height):
        return image
    if mode == "squash":
        return image.resize((width, height), FILTER)
    across, down = image.width / width, image.height / height
    ratio = {"crop": min(across, down), "fill": max(across, down), "half_crop": (across + down) / 2}[mode]
    return _centred(image, width, height, ratio)


def _centred(image, width, height, ratio):
    """The centre of the image at `ratio` source pixels per target pixel, on a black background.

    The resize itself crops (`box`), so a very long image is never enlarged in between.
    """
    kept_width, kept_height = min(image.width, width * ratio), min(image.height, height * ratio)
    left, top = (image.width - kept_width) / 2, (image.height - kept_height) / 2
    box = (left, top, min(left + kept_width, image.width), min(top + kept_height, image.height))
    size = (_rounded(kept_width / ratio, width), _rounded(kept_height / ratio, height))
    kept = image.resize(size, FILTER, box=box)
    if size == (width, height):
        return kept
    canvas = Image.new(image.mode, (width, height))
    canvas.paste(kept, ((width - size[0]) // 2, (height - size[1]) // 2))
    return canvas


def _rounded(length, limit):
    return min(max(round(length), 1), limit)
