"""Layers that join or reshape what others made: Concat, Eltwise, Flatten."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models_app.networks.layers.base import Graph, LayerType, Misfit, Shape, describe


@dataclass(frozen=True)
class Concat(LayerType):
    """The inputs one after the other along an axis; axis counts the batch as 0, so 1 is the channels."""

    bottoms = (1, None)
    axis: int = 1

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        axis = self.axis - 1
        if not 0 <= axis < len(bottoms[0]):
            raise Misfit(f"axis {self.axis} is not one of its input {describe(bottoms[0])}")
        for shape in bottoms[1:]:
            if len(shape) != len(bottoms[0]) or any(
                a != b for i, (a, b) in enumerate(zip(shape, bottoms[0], strict=True)) if i != axis
            ):
                raise Misfit(f"can't join {describe(bottoms[0])} and {describe(shape)} along axis {self.axis}")
        joined = sum(shape[axis] for shape in bottoms)
        return [(*bottoms[0][:axis], joined, *bottoms[0][axis + 1 :])]

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [graph.node("Concat", inputs, axis=self.axis)]


@dataclass(frozen=True)
class Eltwise(LayerType):
    """The inputs' sum (weighted with coeff, if given), product or maximum, element by element."""

    bottoms = (2, None)
    operation: str = "SUM"
    coeff: list | None = None

    def __post_init__(self) -> None:
        if self.operation not in ("SUM", "PROD", "MAX"):
            raise Misfit(f"operation must be SUM, PROD or MAX, not {self.operation!r}")
        if self.coeff and self.operation != "SUM":
            raise Misfit(f"coeff belongs to SUM, not to {self.operation}")
        if self.coeff and not all(isinstance(c, (int, float)) for c in self.coeff):
            raise Misfit(f"coeff must be numbers, not {self.coeff!r}")

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        for shape in bottoms[1:]:
            if shape != bottoms[0]:
                raise Misfit(f"its inputs differ in shape: {describe(bottoms[0])} and {describe(shape)}")
        if self.coeff and len(self.coeff) != len(bottoms):
            raise Misfit(f"has {len(self.coeff)} coeff for {len(bottoms)} inputs")
        return [bottoms[0]]

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        for i, coefficient in enumerate(self.coeff or ()):
            inputs[i] = graph.node("Mul", [inputs[i], graph.constant(np.array(coefficient, dtype=np.float32))])
        if self.operation == "PROD":
            value = inputs[0]
            for other in inputs[1:]:
                value = graph.node("Mul", [value, other])
            return [value]
        return [graph.node("Sum" if self.operation == "SUM" else "Max", inputs)]


@dataclass(frozen=True)
class Flatten(LayerType):
    """Every image as one row of features."""

    axis: int = 1

    def __post_init__(self) -> None:
        if self.axis != 1:
            raise Misfit(f"axis must be 1, not {self.axis}")

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        return [(math.prod(bottoms[0]),)]

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [graph.node("Flatten", inputs, axis=1)]
