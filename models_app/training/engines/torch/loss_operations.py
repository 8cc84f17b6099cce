"""Builds losses from PyTorch's functions: each computes one number, its share of the network's loss.

Accuracies compute nothing here. The values that losses and accuracies compare are outputs of a phase, for measures.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from models_app.networks import Node
from models_app.networks.layers import data_and_losses
from models_app.training.class_weights import is_weighable
from models_app.training.engines.torch.distributed.shared_statistics import total_of_ranks
from models_app.training.engines.torch.operation import Build, Operation, PhaseSettings, Tensor
from models_app.training.engines.torch.torch_library import torch

functional = torch.nn.functional


def accuracy(node: Node, phase: PhaseSettings) -> Operation:
    return lambda inputs, weights: []


def softmax_with_loss(node: Node, phase: PhaseSettings) -> Operation:
    kind: data_and_losses.SoftmaxWithLoss = node.kind
    if phase.soft_labels and node.reads[1] is None:
        return _soft_labels_loss(node, phase)
    categories, places = node.inputs[0][0], math.prod(node.inputs[1])  # places: labels per image
    factors = phase.category_weights if is_weighable(node) else None

    def loss(inputs, weights):
        scores, labels = inputs
        rows = scores.float().reshape(-1, categories, places).transpose(1, 2).reshape(-1, categories)
        labels = labels.detach().reshape(-1)
        # A label that is no category would stop the GPU; measures.py reports it once the scores are read.
        chosen = labels.clamp(0, categories - 1).long()
        losses = functional.cross_entropy(rows, chosen, reduction="none")
        if factors is not None:
            losses = losses * factors[chosen.clamp(max=len(factors) - 1)]
        return [kind.loss_weight * _normalized(kind, losses, labels, len(scores), phase)]

    return loss


def _soft_labels_loss(node: Node, phase: PhaseSettings) -> Operation:
    """Cross-entropy with labels that are shares of categories: -Σ w·y·log softmax(x), with the category weights w."""
    kind: data_and_losses.SoftmaxWithLoss = node.kind
    factors = phase.category_weights

    def loss(inputs, weights):
        scores, shares = inputs
        logarithms = scores.float().reshape(len(scores), -1).log_softmax(1)
        total = -(logarithms * (shares if factors is None else shares * factors)).sum()
        return [kind.loss_weight * total / (1 if kind.normalization == "NONE" else len(scores) / phase.share)]

    return loss


def sigmoid_cross_entropy(node: Node, phase: PhaseSettings) -> Operation:
    """log(1 + eˣ) - x·t; its gradient is sigmoid(x) - t."""
    kind: data_and_losses.SigmoidCrossEntropyLoss = node.kind

    def loss(inputs, weights):
        scores, targets = inputs[0].float().reshape(-1), inputs[1].detach().float().reshape(-1)
        losses = functional.softplus(scores) - scores * targets
        return [kind.loss_weight * _normalized(kind, losses, targets, len(inputs[0]), phase)]

    return loss


def _normalized(
    kind: data_and_losses.SoftmaxWithLoss | data_and_losses.SigmoidCrossEntropyLoss,
    losses: Tensor,
    labels: Tensor,
    images: int,
    phase: PhaseSettings,
) -> Tensor:
    """The sum of the losses whose labels count, divided by Caffe's `normalization` of the whole batch."""
    counted: float | Tensor = len(losses) / phase.share
    if kind.ignore_label is not None:
        counts = labels != kind.ignore_label
        losses, counted = losses * counts, total_of_ranks(counts.sum(), phase.ranks).clamp(min=1)
    divisors = {"VALID": counted, "FULL": len(losses) / phase.share, "BATCH_SIZE": images / phase.share, "NONE": 1}
    return losses.sum() / divisors[kind.normalization]


def euclidean(node: Node, phase: PhaseSettings) -> Operation:
    weight = node.kind.loss_weight

    def loss(inputs: Sequence[Tensor], weights: Sequence[Tensor]) -> list[Tensor]:
        first, second = (value.float().reshape(len(value), -1) for value in inputs)
        return [weight * (first - second).square().sum() / (2 * len(first) / phase.share)]

    return loss


CRITERIA: dict[str, Build] = {
    "Accuracy": accuracy,
    "EuclideanLoss": euclidean,
    "SigmoidCrossEntropyLoss": sigmoid_cross_entropy,
    "SoftmaxWithLoss": softmax_with_loss,
}
