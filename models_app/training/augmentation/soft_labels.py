"""Labels that are shares of categories: for mixed images and label smoothing, and which networks can take them."""

from __future__ import annotations

import math

import numpy as np

from models_app.networks import Network, Node
from models_app.networks.layers import data_and_losses
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.hyperparameter_declaration import BadHyperparameter

NEEDED = "it must be a SoftmaxWithLoss or an Accuracy, of one label an image and without ignore_label"
READERS = (data_and_losses.SoftmaxWithLoss, data_and_losses.Accuracy)


def soft_labels(categories: np.ndarray, width: int, known: int, smoothing: float) -> np.ndarray:
    """For each category number a row of `width` shares, float32, whose sum is 1: 1 for the category, of which
    `smoothing` is spread evenly over the first `known` categories, itself included."""
    rows = np.zeros((len(categories), width), np.float32)
    rows[:, :known] = smoothing / known
    rows[np.arange(len(categories)), categories.astype(int)] += 1 - smoothing
    return rows


def soft_label_width(settings: Augmentation, network: Network) -> int:
    """How many numbers a label has in training: the number of scores; 0 if labels are category numbers.

    Raises BadHyperparameter if the network can't be trained with shares of categories.
    """
    name = settings.soft_label_cause
    if not name:
        return 0
    readers = [node for node in network.nodes("train") if None in node.reads]
    losses = [node for node in readers if isinstance(node.kind, data_and_losses.SoftmaxWithLoss)]
    if network.label_shape or not losses:
        raise BadHyperparameter(name, f"{name} needs a SoftmaxWithLoss of categories, and this network has none")
    if wrong := next((node for node in readers if _takes_only_numbers(node)), None):
        raise BadHyperparameter(name, f"{name} mixes labels, which layer {wrong.layer.name} can't read: {NEEDED}")
    widths = {math.prod(node.inputs[0]) for node in losses}
    if len(widths) > 1:
        counts = " and ".join(map(str, sorted(widths)))
        raise BadHyperparameter(name, f"{name} needs losses with the same number of scores; these have {counts}")
    return widths.pop()


def _takes_only_numbers(node: Node) -> bool:
    """Whether a layer that reads labels can read only category numbers."""
    is_known = isinstance(node.kind, READERS) and node.reads[0] is not None and math.prod(node.inputs[1]) == 1
    return not is_known or node.kind.ignore_label is not None
