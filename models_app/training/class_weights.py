"""Weights with which categories count alike in the loss of a training, however many images each has."""

from __future__ import annotations

from collections.abc import Sequence

from digits_project.common.errors import BadInput
from models_app.networks import Network, Node
from models_app.networks.layers import data_and_losses


def balanced(counts: Sequence[int]) -> tuple[float, ...]:
    """n / (k·n_c) for each category: n images in all, k categories that have any, n_c images of this one.

    The weights of all images come to n, so that the learning rate means what it does without. A category without images
    has 0.
    """
    per_category = sum(counts) / sum(map(bool, counts))
    return tuple(per_category / count if count else 0.0 for count in counts)


def is_weighable(node: Node) -> bool:
    """Whether a layer is a loss over the categories that the dataset's labels name."""
    return isinstance(node.kind, data_and_losses.SoftmaxWithLoss) and node.reads[1] is None


def check_weighable(network: Network) -> None:
    """Raise BadInput for a network that has no such loss."""
    if network.label_shape or not any(is_weighable(node) for node in network.nodes("train")):
        raise BadInput(
            "balance_classes weighs the categories in a SoftmaxWithLoss of the dataset's labels; this network has none"
        )
