"""Folders of real images."""

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write_digits(folder, categories=10, each=12):
    """Real handwritten digits, 28×28 PNG, one subfolder a category."""
    digits = load_digits()
    for category in range(categories):
        (folder / str(category)).mkdir(parents=True)
        for i, image in enumerate(digits.images[digits.target == category][:each]):
            pixels = np.round(image * 255 / 16).astype(np.uint8)
            Image.fromarray(pixels).resize((28, 28), Image.Resampling.BICUBIC).save(folder / str(category) / f"{i}.png")
    return folder
