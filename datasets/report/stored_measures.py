"""The measures of the images that a report keeps: a file in its folder, twelve bytes an image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from digits_project.common.errors import NOT_ARRAYS

FILE = "measures.npz"
COLUMNS = ("brightness", "contrast", "sharpness")  # of image_measures.MEASURES


def write_measures(folder: Path, measures: np.ndarray, splits: Sequence[str], starts: Sequence[int]) -> None:
    """Write the columns. starts: the number of each split's first image, and at the end the number of all images."""
    brightness, contrast, sharpness = (measures[column] for column in COLUMNS)
    with (folder / FILE).open("wb") as file:
        np.savez(
            file,
            splits=np.array(splits),
            starts=np.array(starts),
            brightness=brightness,
            contrast=contrast,
            sharpness=sharpness,
        )


def read_measures(folder: Path, split: str) -> dict[str, np.ndarray] | None:
    """{column: float32, a value for each image of the split}; None without a report, or with one of an earlier
    version."""
    try:
        with (folder / FILE).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            place = stored["splits"].tolist().index(split)
            first, end = stored["starts"][place : place + 2]
            return {column: stored[column][first:end] for column in COLUMNS}
    except (OSError, *NOT_ARRAYS):
        return None
