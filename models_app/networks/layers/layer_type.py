"""The base class of layer types: a dataclass whose fields are the Caffe parameters, with three methods.

To add a type, write one class in this folder that derives from LayerType (parameters, shapes of the tops, weights, ONNX
nodes), and one builder in each engine's table. No other code knows the types by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any, ClassVar, Protocol

import numpy as np

Shape = tuple[int, ...]  # without the batch axis: (channels, height, width), (features,), or () for a label

ZEROS = {"type": "constant", "value": 0.0}
ONES = {"type": "constant", "value": 1.0}

# The largest size of one top for one image, in numbers: 400 MB. The largest top of VGG-16 has 13 MB.
MAX_VALUES = 100_000_000
# The ranges that engines accept: float32 and 32-bit integers.
LARGEST = 2**31 - 1
LARGEST_FLOAT, SMALLEST_FLOAT = 1e38, 1e-37

TYPES: dict[str, type[LayerType]] = {}

KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "int": ((int,), "a whole number"),
    "float": ((int, float), "a number"),
    "bool": ((bool,), "true or false"),
    "str": ((str,), "a word"),
    "list": ((list, tuple), "a list"),
    "dict": ((dict,), "a group of settings"),
}


class Misfit(ValueError):
    """The reason why a layer can't be built; BadNetwork puts the layer's name before it."""


@dataclass(frozen=True)
class WeightSpec:
    """One of a layer's weights. `filler` is as in Caffe: {"type": "xavier", …}.

    A statistic (learned=False) is measured in training; the solver does not change it.
    """

    role: str
    shape: Shape
    filler: Mapping[str, Any]
    learned: bool = True


class OnnxGraph(Protocol):
    """The methods that a layer type's `onnx` calls to write its nodes (networks/export/network_onnx.py)."""

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node; returns the name of its output."""

    def constant(self, array: np.ndarray) -> str:
        """Store a constant; returns its name."""

    def inline(self, model: Any, inputs: Sequence[str]) -> list[str]:
        """Write the nodes of a whole model (export.exported_model); returns the names of its outputs."""


class LayerType:
    """The rules of one layer type. An instance holds the checked parameters of one layer.

    A type with any number of tops has a field `parts`, which is not a parameter: the number of tops of this layer.
    """

    bottoms: ClassVar[tuple[int, int | None]] = (1, 1)  # minimum and maximum number of inputs (None: any)
    tops: ClassVar[tuple[int, int | None]] = (1, 1)
    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]  # of each type, which is a dataclass

    def __init_subclass__(cls, abstract: bool = False) -> None:
        if not abstract:
            TYPES[cls.__name__] = cls

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        """The shapes of the tops. Raises Misfit."""
        raise NotImplementedError

    def weights(self, bottoms: Sequence[Shape]) -> list[WeightSpec]:
        """The layer's weights, in Caffe's order."""
        return []

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        """Write the layer as ONNX nodes. Returns the names of its outputs. `shapes` are those of the inputs."""
        raise NotImplementedError


def parse(cls: type[LayerType], parameters: Mapping[str, Any], tops: int = 1) -> LayerType:
    """Check parameters against the type's fields. Raises Misfit, which names the wrong parameter."""
    known = {f.name: f for f in fields(cls) if f.name != "parts"}
    unknown = sorted(set(parameters) - set(known))
    if unknown:
        raise Misfit(f"{cls.__name__} has no parameter {unknown[0]}")
    missing = [
        name
        for name, f in known.items()
        if name not in parameters and f.default is MISSING and f.default_factory is MISSING
    ]
    if missing:
        raise Misfit(f"{cls.__name__} needs {missing[0]}")
    checked = {name: _checked(name, value, str(known[name].type)) for name, value in parameters.items()}
    return cls(**checked, **({"parts": tops} if "parts" in cls.__dataclass_fields__ else {}))


def _checked(name: str, value: Any, annotation: str) -> Any:
    """The value, checked against the field's annotation: one of KINDS, or Extent; "| None" allows None."""
    kind, _, optional = annotation.partition(" | ")
    if optional and value is None:
        return None
    if kind == "Extent":
        return extent(name, value)
    accepted, words = KINDS[kind]
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind != "bool"):
        raise Misfit(f"{name} must be {words}, not {value!r}")
    if kind == "float":
        check_finite(name, value)
    return whole_numbers(name, [value])[0] if kind == "int" else value


Extent = tuple[int, int]  # height, width


def extent(name: str, value: Any) -> Extent:
    """A height and width from Caffe's repeated field: one number for both, or two."""
    numbers = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(numbers) not in (1, 2) or not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        raise Misfit(f"{name} must be one or two whole numbers, not {value!r}")
    height, *_, width = whole_numbers(name, numbers * 2)
    return (height, width)


def check_finite(name: str, value: Any) -> None:
    """Raise Misfit unless the value is a number that a float32 can hold."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise Misfit(f"{name} must be a number, not {value!r}")
    if not abs(value) <= LARGEST_FLOAT:
        raise Misfit(f"{name} must be finite, not {value!r}")
    if 0 < abs(value) < SMALLEST_FLOAT:
        raise Misfit(f"{name} must be 0 or at least {SMALLEST_FLOAT}, not {value!r}")


def whole_numbers(name: str, values: Sequence[Any]) -> list[int]:
    """The values as integers. Raises Misfit if one is not an integer that engines accept."""
    for value in values:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Misfit(f"{name} must be whole numbers, not {value!r}")
        if abs(value) > LARGEST:
            raise Misfit(f"{name} must be at most {LARGEST}, not {value}")
    return list(values)


def axis_of(axis: int, shape: Shape, name: str = "axis") -> int:
    """The index in `shape` of an axis given as in Caffe: the batch is 0, negative numbers count from the end."""
    axes = len(shape) + 1
    if not -axes <= axis < axes:
        raise Misfit(f"{name} {axis} is not one of its input {describe(shape)}")
    if axis % axes == 0:
        raise Misfit(f"{name} {axis} is the batch, which stays as it is")
    return axis % axes - 1


def check_size(shape: Shape) -> Shape:
    """The shape. Raises Misfit if it is too large for memory."""
    if math.prod(shape) > MAX_VALUES:
        numbers = f"{math.prod(shape):,} numbers for each image"
        raise Misfit(f"{describe(shape)} would be {numbers}; at most {MAX_VALUES:,} are possible")
    return shape


def channels(shape: Shape) -> int:
    """The size of the first axis after the batch."""
    if not shape:
        raise Misfit(f"works on channels, its input is {describe(shape)}")
    return shape[0]


def image_shape(shape: Shape) -> tuple[int, int, int]:
    """The shape as (channels, height, width). Raises Misfit if it is not an image's."""
    if len(shape) != 3:
        raise Misfit(f"works on images (channels, height, width), its input is {describe(shape)}")
    return shape


def describe(shape: Shape) -> str:
    """(50, 4, 4) as 50×4×4."""
    return "×".join(map(str, shape)) or "a single number"


def onnx_slice(graph: OnnxGraph, value: str, cuts: Mapping[int, tuple[int, int]]) -> str:
    """The part of a value from begin to end along each axis (the batch is axis 0)."""
    columns = ([begin for begin, _ in cuts.values()], [end for _, end in cuts.values()], list(cuts))
    return graph.node("Slice", [value, *(graph.constant(np.array(column, dtype=np.int64)) for column in columns)])
