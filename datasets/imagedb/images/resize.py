"""The one place where an image is resized, when a database is built and when an image is classified."""

from __future__ import annotations

from PIL import Image

# A triangle over all source pixels that a target pixel covers: antialiased, no ringing, the same on every machine.
FILTER = Image.Resampling.BILINEAR


def resize(image: Image.Image, width: int, height: int, mode: str) -> Image.Image:
    """The image at exactly width x height, in the same colour mode. Deterministic.

    squash ignores the aspect ratio. The others keep it; they differ in how many source pixels make a target pixel:
    crop the smaller of the two ratios (the image covers the target and its centre is kept), fill the larger (the
    whole image fits inside), half_crop the mean of both (one dimension is cropped, the other filled).
    What is not covered is black: random noise, as DIGITS had it, would give one image two answers.
    """
    if image.size == (width, height):
        return image
    if mode == "squash":
        return image.resize((width, height), FILTER)
    across, down = image.width / width, image.height / height
    ratio = {"crop": min(across, down), "fill": max(across, down), "half_crop": (across + down) / 2}[mode]
    return _centred(image, width, height, ratio)


def _centred(image, width, height, ratio):
    """The centre of the image at `ratio` source pixels per target pixel, on black where the image ends.

    The part that is kept is cut by the resize itself (`box`), so a very long image never grows in between.
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
