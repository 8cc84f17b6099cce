"""A phase of a network as a PyTorch module."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from models_app.networks import Network, Node
from models_app.networks.layers import data_and_losses, dense
from models_app.networks.normalization import smallest_deviation
from models_app.networks.resolve import Value
from models_app.training.augmentation.soft_labels import soft_label_width
from models_app.training.engines.interface import EngineConfig
from models_app.training.engines.joined_layers import joined_scales
from models_app.training.engines.torch.layer_operations import OPERATIONS
from models_app.training.engines.torch.operation import Operation, PhaseSettings, Statistics, Tensor
from models_app.training.engines.torch.torch_library import tensor_of, torch


@dataclass(frozen=True)
class _Step:
    """A layer: its function, the names of its weights, and the node that it is made from."""

    node: Node
    operation: Operation
    weights: tuple[str, ...]
    is_criterion: bool


class PhaseModule(torch.nn.Module):
    """One phase of a network: forward(images, labels) returns its loss and the values of `outputs`.

    Images are as in Engine, labels a float32 tensor; both are on the device. Outside of training the loss is None.
    outputs: the values that losses and accuracies compare; of the phase deploy, the names of the network's outputs.
    batch_numbers: how many numbers those of a batch are, labels included.
    trained: the parameters that the loss is differentiated by, so that a wrapper of modules finds them.
    """

    def __init__(self, config: EngineConfig, phase: str, weights: Mapping[str, Tensor], device: torch.device) -> None:
        super().__init__()
        if phase != "deploy":
            config.network.check_trainable(phase)
        network, training = config.network, phase == "train"
        self._weights = dict(weights)
        self.trained = torch.nn.ParameterList(
            weights[weight.name] for weight in network.weights() if training and weight.trained
        )
        self._averages = BatchStatistics(network, config.batch_size, weights, device) if training else None
        settings = PhaseSettings(
            training=training,
            soft_labels=training and soft_label_width(config, network) > 0,
            category_weights=_factors(config, device) if training else None,
            joined_scales=joined_scales(network, phase),
            statistics=self._averages.by_layer if self._averages else {},
            ranks=config.ranks,
            share=config.own_share,
        )
        self._steps = [_step(node, settings) for node in network.nodes(phase) if not _is_source(node)]
        self._source = next((node for node in network.nodes(phase) if _is_source(node)), None)
        self._normalization = _Normalization(config, device)
        self._is_deployed = phase == "deploy"
        self.outputs: list[Any] = network.outputs("deploy") if self._is_deployed else _compared(network, phase)
        self.batch_numbers = config.batch_size * (_numbers(network, phase) + max(1, math.prod(network.label_shape)))

    def forward(self, images: Tensor, labels: Tensor | None = None) -> tuple[Tensor | None, list[Tensor]]:
        values: dict[str, Tensor] = {}
        if self._source:
            values.update(zip(self._source.layer.tops, (self._normalization(images), labels), strict=False))
        kept: dict[Value | None, Tensor] = {}
        losses: list[Tensor] = []
        for step in self._steps:
            inputs = [values[bottom] for bottom in step.node.layer.bottoms]
            if step.is_criterion:
                for value, tensor in zip(step.node.reads, inputs, strict=True):
                    kept.setdefault(value, tensor)
                losses += step.operation(inputs, ()) if self._averages else ()
                continue
            weights = [self._weights[name] for name in step.weights]
            values.update(zip(step.node.layer.tops, step.operation(inputs, weights), strict=True))
        results = [values[name] for name in self.outputs] if self._is_deployed else [kept[v] for v in self.outputs]
        return (sum(losses[1:], losses[0]) if losses else None), results

    def move_averages(self) -> None:
        """Move the running averages towards the statistics of the batch that forward() has just computed."""
        if self._averages:
            self._averages.move()


class BatchStatistics:
    """The statistics of a batch that BatchNorm layers measure in training, and the running averages of them.

    by_layer: the statistics by the layer's name.
    """

    def __init__(self, network: Network, batch_size: int, weights: Mapping[str, Tensor], device: torch.device) -> None:
        nodes = [node for node in network.nodes("train") if isinstance(node.kind, dense.BatchNorm)]
        nodes = [node for node in nodes if not node.kind.use_global_stats]
        self.by_layer = {
            node.layer.name: Statistics(*(torch.zeros(node.weights[0].shape, device=device) for _ in range(2)))
            for node in nodes
        }
        self._groups = [
            _AverageGroup(1 - fraction, [node for node in nodes if node.kind.moving_average_fraction == fraction],
                          self.by_layer, batch_size, weights)
            for fraction in dict.fromkeys(node.kind.moving_average_fraction for node in nodes)
        ]  # fmt: skip

    def move(self) -> None:
        """a ← f·a + (1 - f)·statistic, for every running average."""
        with torch.no_grad():
            for group in self._groups:
                group.move()


class _AverageGroup:
    """The running averages of BatchNorms with the same fraction."""

    def __init__(
        self,
        share: float,
        nodes: list[Node],
        statistics: Mapping[str, Statistics],
        batch_size: int,
        weights: Mapping[str, Tensor],
    ) -> None:
        self._share = share
        own = [statistics[node.layer.name] for node in nodes]
        self._averages = [weights[node.weights[place].name] for place in (0, 1) for node in nodes]
        self._variances = [each.variance for each in own]
        self._measured = [each.mean for each in own] + self._variances
        # PyTorch divides a variance by n - 1; the running averages are those of variances divided by n, as in MXNet.
        numbers = [batch_size * math.prod(node.inputs[0][1:]) for node in nodes]
        self._biases = [(number - 1) / number for number in numbers]
        self._single = [variance for variance, n in zip(self._variances, numbers, strict=True) if n == 1]

    def move(self) -> None:
        for variance in self._single:
            variance.zero_()  # of one number it is not defined
        torch._foreach_mul_(self._variances, self._biases)
        torch._foreach_lerp_(self._averages, self._measured, self._share)


class _Normalization:
    """Turns images into what the first layer reads: minus the mean, times the scale, and whitened if so configured."""

    def __init__(self, config: EngineConfig, device: torch.device) -> None:
        self._mean, self._scale = (
            None if array is None else tensor_of(array.astype(np.float32)).to(device)
            for array in (config.mean, config.scale)
        )
        self._smallest = smallest_deviation(config.network.input_shape) if config.aug_whitening else None

    def __call__(self, images: Tensor) -> Tensor:
        value = images.to(torch.float32, memory_format=torch.channels_last)
        if self._mean is not None:
            value = value - self._mean
        if self._scale is not None:
            value = value * self._scale
        return value if self._smallest is None else _whitened(value, self._smallest)


def _whitened(value: Tensor, smallest: float) -> Tensor:
    """Each image minus its mean, divided by its standard deviation or, if that is less, by the smallest one."""
    value = value - value.mean((1, 2, 3), keepdim=True)
    deviation = value.square().mean((1, 2, 3), keepdim=True).sqrt()
    return value / deviation.clamp(min=smallest)


def _step(node: Node, settings: PhaseSettings) -> _Step:
    scale = settings.joined_scales.get(node.layer.name)
    weights = (*node.weights, *(scale.weights if scale else ()))
    is_criterion = isinstance(node.kind, data_and_losses.Criterion)
    return _Step(node, OPERATIONS[node.layer.type](node, settings), tuple(w.name for w in weights), is_criterion)


def _is_source(node: Node) -> bool:
    return isinstance(node.kind, data_and_losses.DataSource)


def _compared(network: Network, phase: str) -> list[Value]:
    """The values that losses and accuracies compare, each once, without the dataset's labels."""
    criteria = (node for node in network.nodes(phase) if isinstance(node.kind, data_and_losses.Criterion))
    return list(dict.fromkeys(value for node in criteria for value in node.reads if value is not None))


def _numbers(network: Network, phase: str) -> int:
    """How many numbers the values that losses and accuracies compare are for one image."""
    compared = set(_compared(network, phase))
    tops = ((node, place) for node in network.nodes(phase) for place in range(len(node.layer.tops)))
    return sum(math.prod(n.outputs[place]) for n, place in tops if (n.layer.name, n.layer.tops[place]) in compared)


def _factors(config: EngineConfig, device: torch.device) -> Tensor | None:
    weights = config.category_weights
    return None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)
