"""Layers that join several inputs or divide one: Concat, Eltwise, Slice, Split, Silence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from models_app.networks.layers.layer_type import (
    LayerType,
    Misfit,
    OnnxGraph,
    Shape,
    axis_of,
    check_finite,
    describe,
    onnx_slice,
    whole_numbers,
)


@dataclass(frozen=True)
class Concat(LayerType):
    """The inputs, concatenated along an axis. The batch is axis 0, so 1 is the channels."""

    bottoms = (1, None)
    axis: int = 1

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        axis = axis_of(self.axis, bottoms[0])
        for shape in bottoms[1:]:
            if len(shape) != len(bottoms[0]) or any(
                a != b for i, (a, b) in enumerate(zip(shape, bottoms[0], strict=True)) if i != axis
            ):
                raise Misfit(f"can't join {describe(bottoms[0])} and {describe(shape)} along axis {self.axis}")
        joined = sum(shape[axis] for shape in bottoms)
        return [(*bottoms[0][:axis], joined, *bottoms[0][axis + 1 :])]

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [graph.node("Concat", inputs, axis=axis_of(self.axis, shapes[0]) + 1)]


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
        for coefficient in self.coeff or ():
            check_finite("coeff", coefficient)

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        for shape in bottoms[1:]:
            if shape != bottoms[0]:
                raise Misfit(f"its inputs differ in shape: {describe(bottoms[0])} and {describe(shape)}")
        if self.coeff and len(self.coeff) != len(bottoms):
            raise Misfit(f"has {len(self.coeff)} coeff for {len(bottoms)} inputs")
        return [bottoms[0]]

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        for i, coefficient in enumerate(self.coeff or ()):
            inputs[i] = graph.node("Mul", [inputs[i], graph.constant(np.array(coefficient, dtype=np.float32))])
        if self.operation == "PROD":
            value = inputs[0]
            for other in inputs[1:]:
                value = graph.node("Mul", [value, other])
            return [value]
        return [graph.node("Sum" if self.operation == "SUM" else "Max", inputs)]


@dataclass(frozen=True)
class Slice(LayerType):
    """The input, cut along an axis before each slice_point, or into equal parts if none is given."""

    tops = (1, None)
    axis: int = 1
    slice_point: list = field(default_factory=list)
    parts: int = 1

    def __post_init__(self) -> None:
        points = whole_numbers("slice_point", self.slice_point)
        if points and (len(points) != self.parts - 1 or sorted({0, *points}) != [0, *points]):
            raise Misfit(f"its {self.parts} outputs need {self.parts - 1} rising slice_point, not {points}")

    def cuts(self, bottom: Shape) -> list[tuple[int, int]]:
        """First and last index (exclusive) of each part."""
        size = bottom[axis_of(self.axis, bottom)]
        if not self.slice_point and size % self.parts:
            raise Misfit(f"can't cut {describe(bottom)} into {self.parts} equal parts along axis {self.axis}")
        if self.slice_point and self.slice_point[-1] >= size:
            raise Misfit(f"can't cut {describe(bottom)} along axis {self.axis} at {self.slice_point[-1]}")
        step = size // self.parts
        return list(pairwise([0, *(self.slice_point or range(step, size, step)), size]))

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        axis = axis_of(self.axis, bottoms[0])
        return [(*bottoms[0][:axis], end - begin, *bottoms[0][axis + 1 :]) for begin, end in self.cuts(bottoms[0])]

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        axis = axis_of(self.axis, shapes[0]) + 1
        return [onnx_slice(graph, inputs[0], {axis: cut}) for cut in self.cuts(shapes[0])]


@dataclass(frozen=True)
class Split(LayerType):
    """Copies of the input, one per top."""

    tops = (1, None)
    parts: int = 1

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        return [bottoms[0]] * self.parts

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return inputs * self.parts


@dataclass(frozen=True)
class Silence(LayerType):
    """Reads a top that no other layer reads, so that it is not an output of the network."""

    bottoms = (1, None)
    tops = (0, 0)

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        return []

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return []
