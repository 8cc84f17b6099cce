"""Class weights: every category counts the same in the training loss, no matter how many images it has."""

from __future__ import annotations

from collections.abc import Sequence

from digits_project.common.errors import BadInput
from models_app.networks import Network, Node
from models_app.networks.layers import data_and_losses


def balanced(counts: Sequence[int]) -> tuple[float, ...]:
    """n / (k·n_c) for each category: n images in all, k categories with images, n_c images of this category.

    The weights of all images sum to n, so the learning rate keeps its meaning. A category without images gets 0.
    """
    per_category = sum(counts) / sum(map(bool, counts))
    return tuple(per_category / count if count else 0.0 for count in counts)


def is_weighable(node: Node) -> bool:
    """Whether a layer is a softmax loss that reads the dataset's labels."""
    return isinstance(node.kind, data_and_losses.SoftmaxWithLoss) and node.reads[1] is None


def check_weighable(network: Network) -> None:
    """Raise BadInput if the network has no softmax loss that reads the dataset's labels."""
    if network.label_shape or not any(is_weighable(node) for node in network.nodes("train")):
        raise BadInput("balance_classes needs a SoftmaxWithLoss of the dataset's labels, and this network has none")
