"""What a layer type is: a dataclass whose fields are its Caffe parameters, with three rules.

To add a type: write one class beside this that derives from LayerType (its parameters, the shapes of its tops, its
weights, its ONNX nodes), and one builder in each engine's table. Nothing else knows the types by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, Protocol

import numpy as np

Shape = tuple[int, ...]  # without the batch axis: (channels, height, width), (features,), or () for a label

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
    """Why a layer can't be built, to be said after the layer's name."""


@dataclass(frozen=True)
class WeightSpec:
    """One of a layer's parameter arrays. `filler` is as in Caffe: {"type": "xavier", …}.

    A statistic (not learned) is measured while training, and the solver leaves it alone.
    """

    role: str
    shape: Shape
    filler: Mapping[str, Any]
    learned: bool = True


class Graph(Protocol):
    """What a layer's `onnx` rule may call to write itself (see networks/onnx.py)."""

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """Append a node; returns the name of its output."""

    def constant(self, array: np.ndarray) -> str:
        """Store a constant; returns its name."""


class LayerType:
    """The rules of one type. Instances hold one layer's checked parameters."""

    bottoms: ClassVar[tuple[int, int | None]] = (1, 1)  # how many inputs it takes, at least and at most (None: any)
    tops: ClassVar[tuple[int, int]] = (1, 1)

    def __init_subclass__(cls, abstract: bool = False) -> None:
        if not abstract:
            TYPES[cls.__name__] = cls

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        """The shapes of the tops, or Misfit."""
        raise NotImplementedError

    def weights(self, bottoms: Sequence[Shape]) -> list[WeightSpec]:
        """The layer's parameter arrays, in Caffe's order."""
        return []

    def onnx(self, graph: Graph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        """Write the layer as ONNX nodes; returns its outputs' names. `shapes` are those of the inputs."""
        raise NotImplementedError


def parse(cls: type[LayerType], parameters: Mapping[str, Any]) -> LayerType:
    """Check parameters against the type's fields; Misfit names the one that is wrong."""
    known = {f.name: f for f in fields(cls)}
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
    return cls(**{name: _checked(name, value, known[name].type) for name, value in parameters.items()})


def _checked(name: str, value: Any, annotation: str) -> Any:
    """The value, if it is what the field's annotation says: one of KINDS, or Extent; "| None" allows None."""
    kind, _, optional = annotation.partition(" | ")
    if optional and value is None:
        return None
    if kind == "Extent":
        return extent(name, value)
    accepted, words = KINDS[kind]
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind != "bool"):
        raise Misfit(f"{name} must be {words}, not {value!r}")
    if kind == "float" and not math.isfinite(value):
        raise Misfit(f"{name} must be finite, not {value!r}")
    return value


Extent = tuple[int, int]  # height, width


def extent(name: str, value: Any) -> Extent:
    """A height and width from Caffe's repeated field: one number for both, or two."""
    numbers = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(numbers) not in (1, 2) or not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        raise Misfit(f"{name} must be one or two whole numbers, not {value!r}")
    return (numbers[0], numbers[-1])


def image_shape(shape: Shape) -> tuple[int, int, int]:
    """The shape, if it is that of an image."""
    if len(shape) != 3:
        raise Misfit(f"works on images (channels, height, width), its input is {describe(shape)}")
    return shape


def describe(shape: Shape) -> str:
    """(50, 4, 4) as 50×4×4."""
    return "×".join(map(str, shape)) or "a single number"
