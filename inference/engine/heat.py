"""Colours a map of what speaks for a category. Plain Python and NumPy."""

import numpy as np
from PIL import Image

COLOURS = np.array([[255, 235, 130], [250, 150, 40], [200, 20, 30]])  # from the weakest to the strongest part
MOST_OPAQUE = 230  # of 255


def importance(values: np.ndarray) -> np.ndarray:
    """The parts of a map that speak for the category, from 0 to 1; what speaks against it is 0."""
    positive = np.maximum(values, 0)
    return positive / (positive.max() or 1)


def heat(values: np.ndarray) -> Image.Image:
    """A picture, RGBA, to lay over the image: the stronger a part of a map, 0 to 1, the redder and less transparent."""
    stops = np.linspace(0, 1, len(COLOURS))
    colours = [np.interp(values, stops, COLOURS[:, channel]) for channel in range(3)]
    return Image.fromarray(np.stack([*colours, values * MOST_OPAQUE], axis=2).round().astype(np.uint8))


def picture_of(image: np.ndarray) -> Image.Image:
    """An image, uint8 H×W×C of one or three channels, as a picture."""
    return Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image)


def overlaid(image: np.ndarray, values: np.ndarray) -> Image.Image:
    """An image, uint8 H×W×C, below the heat of its map."""
    return Image.alpha_composite(picture_of(image).convert("RGBA"), heat(values)).convert("RGB")
