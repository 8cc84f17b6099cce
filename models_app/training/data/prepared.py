"""What a training reads and what computes it, once both are open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models_app.training.augmentation.declaration import Augmentation
from models_app.training.data.pixels import Images
from models_app.training.engines.interface import Engine


@dataclass(frozen=True)
class Prepared:
    """An open engine, without weights yet, and the images of both splits.

    augmentation: what is to change in the batches of the training.
    sample: images on which model.onnx and the engine are compared, see sample_of().
    """

    engine: Engine
    train_images: Images
    val_images: Images | None
    sample: np.ndarray
    augmentation: Augmentation


def sample_of(images: Images, most: int) -> np.ndarray:
    """At most `most` images from the start of a split, as model.onnx takes them: uint8 n×C×H×W. It crops them by
    itself, but can't scale them."""
    numbers, layout = range(min(len(images), most)), images.layout
    sample = np.empty((len(numbers), *(layout.input_shape if layout.resize else layout.image_shape)), np.uint8)
    labels = np.empty((len(numbers), *layout.label_shape), np.float32)
    images.read(numbers, sample, labels, layout.centre(len(numbers)) if layout.resize else None)
    return sample
