"""Layers that weight or normalise features: InnerProduct, BatchNorm, Scale, Bias, Softmax."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models_app.networks.layers.elementwise import SameShape
from models_app.networks.layers.layer_type import (
    ONES,
    ZEROS,
    LayerType,
    Misfit,
    OnnxGraph,
    Shape,
    WeightSpec,
    axis_of,
    channels,
)

# The smallest divisor for a BatchNorm that has not been trained, whose averages and factor are 0.
SMALLEST_FACTOR = 1e-30


@dataclass(frozen=True)
class InnerProduct(LayerType):
    """A fully connected layer: each output is a weighted sum of all inputs from `axis` on, y = W·x + b.

    W is num_output × inputs; with `transpose`, inputs × num_output. The batch is axis 0, so 1 is the whole image.
    """

    num_output: int
    bias_term: bool = True
    weight_filler: dict = field(default_factory=lambda: ZEROS)
    bias_filler: dict = field(default_factory=lambda: ZEROS)
    axis: int = 1
    transpose: bool = False

    def __post_init__(self) -> None:
        if self.num_output < 1:
            raise Misfit("num_output must be at least 1")

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        return [(*bottoms[0][: axis_of(self.axis, bottoms[0])], self.num_output)]

    def weights(self, bottoms: Sequence[Shape]) -> list[WeightSpec]:
        shape = (self.num_output, math.prod(bottoms[0][axis_of(self.axis, bottoms[0]) :]))
        specs = [WeightSpec("weight", shape[::-1] if self.transpose else shape, self.weight_filler)]
        return specs + ([WeightSpec("bias", (self.num_output,), self.bias_filler)] if self.bias_term else [])

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        lead = shapes[0][: axis_of(self.axis, shapes[0])]
        if not lead:
            flat = graph.node("Flatten", inputs, axis=1)
            return [graph.node("Gemm", [flat, *weights], transB=0 if self.transpose else 1)]
        rows = graph.constant(np.array([0, *lead, -1], dtype=np.int64))
        matrix = weights[0] if self.transpose else graph.node("Transpose", weights[:1], perm=(1, 0))
        value = graph.node("MatMul", [graph.node("Reshape", [*inputs, rows]), matrix])
        return [graph.node("Add", [value, weights[1]]) if self.bias_term else value]


@dataclass(frozen=True)
class BatchNorm(SameShape):
    """(x - mean) / √(variance + eps) per channel: of the batch in training, else of the running averages.

    The running averages start at zero and are updated with f = moving_average_fraction: a ← f·a + (1 - f)·batch. So is
    `factor`, with 1 as the batch's value; the mean and variance used are averages / factor. With use_global_stats: true
    the averages don't change in training. As in Caffe there is no gain and no bias (a Scale layer adds them), unless
    scale_bias or one of the fillers is set: then each channel has a learned gain and bias, as in NVIDIA's Caffe.
    """

    moving_average_fraction: float = 0.999
    eps: float = 1e-5
    use_global_stats: bool = False
    scale_bias: bool = False
    scale_filler: dict | None = None
    bias_filler: dict | None = None

    @property
    def scales(self) -> bool:
        """Whether it has a gain and a bias."""
        return self.scale_bias or self.scale_filler is not None or self.bias_filler is not None

    def __post_init__(self) -> None:
        if not 0 <= self.moving_average_fraction < 1:
            raise Misfit(f"moving_average_fraction must be from 0 to below 1, not {self.moving_average_fraction}")
        if self.eps <= 0:
            raise Misfit(f"eps must be above 0, not {self.eps}")

    def weights(self, bottoms: Sequence[Shape]) -> list[WeightSpec]:
        shape = (channels(bottoms[0]),)
        averages = (("mean", shape), ("variance", shape), ("factor", (1,)))
        specs = [WeightSpec(role, size, ZEROS, learned=False) for role, size in averages]
        if self.scales:
            specs += [WeightSpec("weight", shape, self.scale_filler or ONES)]
            specs += [WeightSpec("bias", shape, self.bias_filler or ZEROS)]
        return specs

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        size = channels(shapes[0])
        mean, variance, factor, *learned = weights
        gain, bias = learned or (graph.constant(fill(size, np.float32)) for fill in (np.ones, np.zeros))
        started = graph.node("Max", [factor, graph.constant(np.array([SMALLEST_FACTOR], np.float32))])
        averages = [graph.node("Div", [average, started]) for average in (mean, variance)]
        return [graph.node("BatchNormalization", [*inputs, gain, bias, *averages], epsilon=self.eps)]


@dataclass(frozen=True)
class Scale(SameShape):
    """y = gain · x (+ bias), with one learned gain and bias per channel."""

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

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [_by_channel(graph, ("Mul", "Add"), inputs[0], weights, shapes[0])]


@dataclass(frozen=True)
class Bias(SameShape):
    """y = x + bias, with one learned bias per channel."""

    filler: dict = field(default_factory=lambda: ZEROS)
    axis: int = 1
    num_axes: int = 1

    def __post_init__(self) -> None:
        if (self.axis, self.num_axes) != (1, 1):
            raise Misfit("axis and num_axes must be 1: one bias a channel")

    def weights(self, bottoms: Sequence[Shape]) -> list[WeightSpec]:
        return [WeightSpec("bias", (channels(bottoms[0]),), self.filler)]

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [_by_channel(graph, ("Add",), inputs[0], weights, shapes[0])]


def _by_channel(graph: OnnxGraph, operators: Sequence[str], value: str, weights: Sequence[str], shape: Shape) -> str:
    """Apply each operator with its weight, one number per channel, one after the other."""
    aligned = graph.constant(np.array([1, -1, *[1] * (len(shape) - 1)], dtype=np.int64))
    for operator, weight in zip(operators, weights, strict=False):
        value = graph.node(operator, [value, graph.node("Reshape", [weight, aligned])])
    return value


@dataclass(frozen=True)
class Softmax(SameShape):
    """eˣ / Σ eˣ along an axis. The batch is axis 0, so 1 is the channels."""

    axis: int = 1

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        axis_of(self.axis, bottoms[0])
        return [bottoms[0]]

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [graph.node("Softmax", inputs, axis=axis_of(self.axis, shapes[0]) + 1)]
