"""Builds BatchNorm and Scale from PyTorch's functions, and computes a Scale that alone reads a BatchNorm within it."""

from __future__ import annotations

from collections.abc import Sequence

from models_app.networks import Node
from models_app.networks.layers import dense
from models_app.training.engines.torch.distributed.shared_statistics import batch_norm_of_ranks
from models_app.training.engines.torch.operation import Operation, PhaseSettings, Statistics, Tensor, by_channel
from models_app.training.engines.torch.torch_library import torch

functional = torch.nn.functional


def batch_norm(node: Node, phase: PhaseSettings) -> Operation:
    """A BatchNorm. Its weights are mean, variance and factor, then a gain and a bias: its own, or a joined Scale's."""
    kind: dense.BatchNorm = node.kind
    if phase.training and not kind.use_global_stats:
        statistics = phase.statistics[node.layer.name]
        normalize = by_batch_of_ranks if phase.ranks.count > 1 else by_batch
        return lambda inputs, weights: [normalize(inputs[0], statistics, weights[3:], kind.eps)]
    return lambda inputs, weights: [by_averages(inputs[0], weights[:2], weights[3:], kind.eps)]


def by_batch(value: Tensor, statistics: Statistics, learned: Sequence[Tensor], eps: float) -> Tensor:
    """Normalize by the mean and variance of the batch, which are written into `statistics`."""
    # With a momentum of 1, PyTorch's running averages are those of this batch. functional.batch_norm() would refuse a
    # batch of one value per channel.
    averages, has_cudnn = (statistics.mean, statistics.variance), torch.backends.cudnn.enabled
    normalized: Tensor = torch.batch_norm(value, *_gain_and_bias(learned), *averages, True, 1.0, eps, has_cudnn)
    return normalized


def by_batch_of_ranks(value: Tensor, statistics: Statistics, learned: Sequence[Tensor], eps: float) -> Tensor:
    """The same for the batches of all ranks together."""
    return batch_norm_of_ranks(value, statistics.mean, statistics.variance, *_gain_and_bias(learned), eps)


def by_averages(value: Tensor, averages: Sequence[Tensor], learned: Sequence[Tensor], eps: float) -> Tensor:
    """Normalize by given averages."""
    return functional.batch_norm(value, *averages, *_gain_and_bias(learned), eps=eps)


def _gain_and_bias(learned: Sequence[Tensor]) -> tuple[Tensor | None, Tensor | None]:
    gain, bias = (*learned, None, None)[:2]
    return gain, bias


def scale(node: Node, phase: PhaseSettings) -> Operation:
    if any(node is joined for joined in phase.joined_scales.values()):
        return lambda inputs, weights: list(inputs)

    def scaled(inputs, weights):
        gain, *bias = (by_channel(weight, node.inputs[0]) for weight in weights)
        value = inputs[0] * gain
        return [value + bias[0] if bias else value]

    return scaled
