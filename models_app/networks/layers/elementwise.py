"""Layers that compute each number from one number, so that the top has the shape of the bottom."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models_app.networks.layers.layer_type import LayerType, Misfit, OnnxGraph, Shape, WeightSpec, channels


class SameShape(LayerType, abstract=True):
    """The base of layer types whose output has the shape of their input."""

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        return [bottoms[0]]


class OneOperator(SameShape, abstract=True):
    """A layer type without parameters that is a single ONNX operator."""

    operator: str

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [graph.node(self.operator, inputs)]


@dataclass(frozen=True)
class Sigmoid(OneOperator):
    """1 / (1 + e⁻ˣ)."""

    operator = "Sigmoid"


@dataclass(frozen=True)
class TanH(OneOperator):
    """The hyperbolic tangent."""

    operator = "Tanh"


@dataclass(frozen=True)
class AbsVal(OneOperator):
    """|x|."""

    operator = "Abs"


@dataclass(frozen=True)
class ReLU(SameShape):
    """max(x, 0) + negative_slope · min(x, 0)."""

    negative_slope: float = 0.0

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        if self.negative_slope:
            return [graph.node("LeakyRelu", inputs, alpha=self.negative_slope)]
        return [graph.node("Relu", inputs)]


@dataclass(frozen=True)
class PReLU(SameShape):
    """max(x, 0) + slope · min(x, 0) with a learned slope for each channel, or one for all (channel_shared)."""

    filler: dict = field(default_factory=lambda: {"type": "constant", "value": 0.25})
    channel_shared: bool = False

    def weights(self, bottoms: Sequence[Shape]) -> list[WeightSpec]:
        count = channels(bottoms[0])
        return [WeightSpec("slope", (1,) if self.channel_shared else (count,), self.filler)]

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        by_channel = graph.constant(np.array([-1, *[1] * (len(shapes[0]) - 1)], dtype=np.int64))
        return [graph.node("PRelu", [*inputs, graph.node("Reshape", [*weights, by_channel])])]


@dataclass(frozen=True)
class ELU(SameShape):
    """x above 0, alpha · (eˣ - 1) below (Clevert et al. 2015)."""

    alpha: float = 1.0

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [graph.node("Elu", inputs, alpha=self.alpha)]


@dataclass(frozen=True)
class Clip(SameShape):
    """x, but not below min and not above max."""

    min: float
    max: float

    def __post_init__(self) -> None:
        if self.min > self.max:
            raise Misfit(f"min must not be above max, they are {self.min} and {self.max}")

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        bounds = (graph.constant(np.array(bound, dtype=np.float32)) for bound in (self.min, self.max))
        return [graph.node("Clip", [*inputs, *bounds])]


@dataclass(frozen=True)
class Power(SameShape):
    """(shift + scale · x) ^ power."""

    power: float = 1.0
    scale: float = 1.0
    shift: float = 0.0

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [_linear(graph, inputs[0], self.scale, self.shift, self.power)]


def check_base(base: float) -> None:
    if base != -1 and (base <= 0 or base == 1):
        raise Misfit(f"base must be above 0 and not 1, or -1 for e; it is {base}")


@dataclass(frozen=True)
class Exp(SameShape):
    """base ^ (shift + scale · x); the base -1 stands for e."""

    base: float = -1.0
    scale: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        check_base(self.base)

    @property
    def exponent(self) -> tuple[float, float]:
        """Scale and shift of x under base e."""
        logarithm = 1.0 if self.base == -1 else math.log(self.base)
        return self.scale * logarithm, self.shift * logarithm

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [graph.node("Exp", [_linear(graph, inputs[0], *self.exponent)])]


@dataclass(frozen=True)
class Log(SameShape):
    """The logarithm to the base (-1 stands for e) of shift + scale · x."""

    base: float = -1.0
    scale: float = 1.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        check_base(self.base)

    @property
    def factor(self) -> float:
        """The factor on the natural logarithm."""
        return 1.0 if self.base == -1 else 1 / math.log(self.base)

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        natural = graph.node("Log", [_linear(graph, inputs[0], self.scale, self.shift)])
        return [_linear(graph, natural, self.factor)]


@dataclass(frozen=True)
class Dropout(SameShape):
    """In training, each value is set to 0 with probability dropout_ratio; the others are scaled up to keep the mean."""

    dropout_ratio: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.dropout_ratio < 1:
            raise Misfit(f"dropout_ratio must be from 0 to below 1, not {self.dropout_ratio}")

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [inputs[0]]


def _linear(graph: OnnxGraph, value: str, scale: float, shift: float = 0.0, power: float = 1.0) -> str:
    """(scale · value + shift) ^ power, without the steps that would change nothing."""
    for operator, operand, neutral in (("Mul", scale, 1.0), ("Add", shift, 0.0), ("Pow", power, 1.0)):
        if operand != neutral:
            value = graph.node(operator, [value, graph.constant(np.array(operand, dtype=np.float32))])
    return value
