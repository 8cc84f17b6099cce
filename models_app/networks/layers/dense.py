"""Layers that treat features one by one or all together: InnerProduct, BatchNorm, Scale, and the element-wise ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models_app.networks.layers.base import Graph, LayerType, Misfit, Shape, WeightSpec, describe

ZEROS = {"type": "constant", "value": 0.0}
ONES = {"type": "constant", "value": 1.0}

# Of a BatchNorm that has not been trained: its averages and its factor are 0, and 0 / this is 0.
SMALLEST_FACTOR = 1e-30


class SameShape(LayerType, abstract=True):
    """A type whose top has the shape of its bottom."""

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        return [bottoms[0]]


@dataclass(frozen=True)
class InnerProduct(LayerType):
    """Every output is a weighted sum of all inputs of the image: y = W·flatten(x) + b, W num_output × inputs."""

    num_output: int
    bias_term: bool = True
    weight_filler: dict = field(default_factory=lambda: ZEROS)
    bias_filler: dict = field(default_factory=lambda: ZEROS)
    axis: int = 1

    def __post_init__(self) -> None:
        if self.num_output < 1:
            raise Misfit("num_output must be at least 1")
        if self.axis != 1:
            raise Misfit(f"axis must be 1, not {self.axis}")

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        return [(self.num_output,)]

    def weights(self, bottoms: Sequence[Shape]) -> list[WeightSpec]:
        specs = [WeightSpec("weight", (self.num_output, math.prod(bottoms[0])), self.weight_filler)]
        return specs + ([WeightSpec("bias", (self.num_output,), self.bias_filler)] if self.bias_term else [])

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        flat = graph.node("Flatten", inputs, axis=1)
        return [graph.node("Gemm", [flat, *weights], transB=1)]


@dataclass(frozen=True)
class ReLU(SameShape):
    """max(x, 0) + negative_slope · min(x, 0)."""

    negative_slope: float = 0.0

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        if self.negative_slope:
            return [graph.node("LeakyRelu", inputs, alpha=self.negative_slope)]
        return [graph.node("Relu", inputs)]


@dataclass(frozen=True)
class Clip(SameShape):
    """x, but not below min and not above max."""

    min: float
    max: float

    def __post_init__(self) -> None:
        if self.min > self.max:
            raise Misfit(f"min must not be above max, they are {self.min} and {self.max}")

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        bounds = (graph.constant(np.array(bound, dtype=np.float32)) for bound in (self.min, self.max))
        return [graph.node("Clip", [*inputs, *bounds])]


@dataclass(frozen=True)
class Power(SameShape):
    """(shift + scale · x) ^ power."""

    power: float = 1.0
    scale: float = 1.0
    shift: float = 0.0

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        value = inputs[0]
        for operator, operand, neutral in (
            ("Mul", self.scale, 1.0),
            ("Add", self.shift, 0.0),
            ("Pow", self.power, 1.0),
        ):
            if operand != neutral:
                value = graph.node(operator, [value, graph.constant(np.array(operand, dtype=np.float32))])
        return [value]


@dataclass(frozen=True)
class Dropout(SameShape):
    """While training, each value is dropped with probability dropout_ratio and the others grow to match."""

    dropout_ratio: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.dropout_ratio < 1:
            raise Misfit(f"dropout_ratio must be from 0 to below 1, not {self.dropout_ratio}")

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [inputs[0]]


@dataclass(frozen=True)
class BatchNorm(SameShape):
    """(x - mean) / √(variance + eps) by channel: over the batch while training, over its running averages else.

    The running averages begin at zero and weigh the past with f = moving_average_fraction: a ← f·a + (1 - f)·batch. So
    does `factor`, with 1 as the batch's value: averages / factor is what counts. As in Caffe there is no gain and no
    bias (a Scale layer follows for those), and use_global_stats: true holds the averages still while training.
    """

    moving_average_fraction: float = 0.999
    eps: float = 1e-5
    use_global_stats: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.moving_average_fraction < 1:
            raise Misfit(f"moving_average_fraction must be from 0 to below 1, not {self.moving_average_fraction}")
        if self.eps <= 0:
            raise Misfit(f"eps must be above 0, not {self.eps}")

    def weights(self, bottoms: Sequence[Shape]) -> list[WeightSpec]:
        shape = (channels(bottoms[0]),)
        averages = (("mean", shape), ("variance", shape), ("factor", (1,)))
        return [WeightSpec(role, size, ZEROS, learned=False) for role, size in averages]

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        size = channels(shapes[0])
        gain, bias = graph.constant(np.ones(size, np.float32)), graph.constant(np.zeros(size, np.float32))
        mean, variance, factor = weights
        started = graph.node("Max", [factor, graph.constant(np.array([SMALLEST_FACTOR], np.float32))])
        averages = [graph.node("Div", [average, started]) for average in (mean, variance)]
        return [graph.node("BatchNormalization", [*inputs, gain, bias, *averages], epsilon=self.eps)]


@dataclass(frozen=True)
class Scale(SameShape):
    """y = gain · x (+ bias), one learned gain and bias a channel."""

    bias_term: bool = False
    filler: dict = field(default_factory=lambda: ONES)
    bias_filler: dict = field(default_factory=lambda: ZEROS)
    axis: int = 1
    num_axes: int = 1

    def __post_init__(self) -> None:
        if (self.axis, self.num_axes) != (1, 1):
            raise Misfit("axis and num_axes must be 1: one gain a channel")

    def weights(self, bottoms: Sequence[Shape]) -> list[WeightSpec]:
        shape = (channels(bottoms[0]),)
        specs = [WeightSpec("weight", shape, self.filler)]
        return specs + ([WeightSpec("bias", shape, self.bias_filler)] if self.bias_term else [])

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        by_channel = graph.constant(np.array([1, -1, *[1] * (len(shapes[0]) - 1)], dtype=np.int64))
        value = inputs[0]
        for operator, weight in zip(("Mul", "Add"), weights, strict=False):
            value = graph.node(operator, [value, graph.node("Reshape", [weight, by_channel])])
        return [value]


@dataclass(frozen=True)
class Softmax(SameShape):
    """eˣ / Σ eˣ over the channels."""

    axis: int = 1

    def __post_init__(self) -> None:
        if self.axis != 1:
            raise Misfit(f"axis must be 1, not {self.axis}")

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [graph.node("Softmax", inputs, axis=1)]


def channels(shape: Shape) -> int:
    """The size of the first axis after the batch."""
    if not shape:
        raise Misfit(f"works on channels, its input is {describe(shape)}")
    return shape[0]
