"""Layers that change the shape or crop: Flatten, Reshape, Crop."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from models_app.networks.layers.layer_type import (
    LayerType,
    Misfit,
    OnnxGraph,
    Shape,
    axis_of,
    describe,
    onnx_slice,
    whole_numbers,
)


class Shaped(LayerType, abstract=True):
    """A layer type whose top has the same numbers as its bottom, in another shape."""

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        shape = graph.constant(np.array([-1, *self.shapes(shapes)[0]], dtype=np.int64))
        return [graph.node("Reshape", [*inputs, shape])]


@dataclass(frozen=True)
class Flatten(Shaped):
    """Merges the axes from `axis` to `end_axis`. The batch is axis 0, so 1 to -1 makes one row of each image."""

    axis: int = 1
    end_axis: int = -1

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        bottom = bottoms[0]
        first, last = axis_of(self.axis, bottom), axis_of(self.end_axis, bottom, "end_axis")
        if first > last:
            raise Misfit(f"axis {self.axis} comes after end_axis {self.end_axis}")
        return [(*bottom[:first], math.prod(bottom[first : last + 1]), *bottom[last + 1 :])]


@dataclass(frozen=True)
class Reshape(Shaped):
    """Caffe's ReshapeParameter: the `num_axes` axes from `axis` on (-1: all) become those of `shape`.

    In `shape`, 0 copies the input's size at that position, and one -1 stands for the rest. The batch, axis 0, does not
    change.
    """

    shape: list = field(default_factory=list)
    axis: int = 0
    num_axes: int = -1

    def __post_init__(self) -> None:
        whole_numbers("shape", self.shape)
        if min(self.shape, default=0) < -1 or list(self.shape).count(-1) > 1:
            raise Misfit(f"shape must be sizes, 0, and at most one -1, not {self.shape}")
        if self.num_axes < -1:
            raise Misfit(f"num_axes must be -1 or more, not {self.num_axes}")

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        bottom, sizes = (0, *bottoms[0]), list(self.shape)  # 0 is the batch, here and in `sizes`
        first = self.axis if self.axis >= 0 else len(bottom) + self.axis + 1
        last = len(bottom) if self.num_axes == -1 else first + self.num_axes
        if not 0 <= first <= last <= len(bottom):
            raise Misfit(f"axis {self.axis} and num_axes {self.num_axes} do not fit its input {describe(bottoms[0])}")
        for place in (i for i, size in enumerate(sizes) if size == 0):
            if first + place >= len(bottom):
                raise Misfit(f"shape has a 0 where its input {describe(bottoms[0])} has no size")
            sizes[place] = bottom[first + place]
        return [self._without_batch(bottoms[0], [*bottom[:first], *sizes, *bottom[last:]])]

    def _without_batch(self, bottom: Shape, sizes: list[int]) -> Shape:
        """The shape of one image's values, with -1 resolved."""
        total, batch, rest = math.prod(bottom), sizes[:1], sizes[1:]
        if batch == [-1] and math.prod(rest) == total:
            batch = [0]
        if batch != [0] or 0 in rest:
            raise Misfit(f"its first size must be the batch's: 0, not {sizes[0] if sizes else 'nothing'}")
        known = math.prod(size for size in rest if size != -1)
        if -1 in rest and total % known == 0:
            rest[rest.index(-1)] = total // known
        if -1 in rest or math.prod(rest) != total:
            raise Misfit(f"its input {describe(bottom)} has {total} numbers, which do not fit the shape {self.shape}")
        return tuple(rest)


@dataclass(frozen=True)
class Crop(LayerType):
    """Crops the first input to the size of the second, from `axis` on, starting at `offset` (one number, or one per
    axis).

    The batch is axis 0, so 2 means height and width.
    """

    bottoms = (2, 2)
    axis: int = 2
    offset: list = field(default_factory=list)

    def __post_init__(self) -> None:
        if min(whole_numbers("offset", self.offset), default=0) < 0:
            raise Misfit(f"offset must not be negative, it is {self.offset}")

    def cuts(self, bottoms: Sequence[Shape]) -> dict[int, tuple[int, int]]:
        """{axis, counted as in Caffe: (first, last)} of the crop."""
        (source, wanted), first = bottoms, axis_of(self.axis, bottoms[0])
        axes = range(first, len(source))
        if len(self.offset) > 1 and len(self.offset) != len(axes):
            raise Misfit(f"has {len(self.offset)} offset for {len(axes)} axes")
        offsets = list(self.offset) if len(self.offset) > 1 else [*self.offset, 0][:1] * len(axes)
        if len(wanted) != len(source) or any(
            offset + wanted[axis] > source[axis] for axis, offset in zip(axes, offsets, strict=True)
        ):
            raise Misfit(f"can't crop {describe(source)} to {describe(wanted)} at {offsets}")
        return {axis + 1: (at, at + wanted[axis]) for axis, at in zip(axes, offsets, strict=True)}

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        cuts = self.cuts(bottoms)
        return [(*bottoms[0][: min(cuts) - 1], *(end - begin for begin, end in cuts.values()))]

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return [onnx_slice(graph, inputs[0], self.cuts(shapes))]
