"""A network as data: layers, checked and resolved to nodes with shapes, weights and names."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models_app.networks.fillers import check_filler, fill
from models_app.networks.layer import PHASES, BadNetwork, Layer, Multipliers
from models_app.networks.layers import TYPES, LayerType, Misfit, Shape, WeightSpec, ends, parse

# model.onnx is one protobuf message, which can't pass 2 GiB; a float32 takes four bytes.
MAX_WEIGHTS = 500_000_000


@dataclass(frozen=True)
class Weight:
    """A parameter array of the network. `name` is "<layer>.<role>" and unique."""

    name: str
    spec: WeightSpec
    multipliers: Multipliers

    @property
    def shape(self) -> Shape:
        return self.spec.shape

    @property
    def learned(self) -> bool:
        return self.spec.learned


@dataclass(frozen=True)
class Node:
    """A layer in its place: its checked parameters, and the shapes of its inputs and outputs without the batch axis."""

    layer: Layer
    kind: LayerType
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    weights: tuple[Weight, ...]


@dataclass(frozen=True)
class Network:
    """Layers in the order in which they are computed, and the shape (channels, height, width) of the images they take.

    That is the shape after the crop of the Data layer. Labels are () for the number of a category, else the shape of
    the labels of a generic dataset. A top may be written again only by a layer that reads it (in place, as Caffe's
    ReLU often is).
    """

    name: str
    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    label_shape: Shape = ()

    def nodes(self, phase: str) -> list[Node]:
        """The layers of one phase, resolved. Raises BadNetwork, which names the layer that is wrong."""
        return _resolve([layer for layer in self.layers if phase in layer.phases], (self.input_shape, self.label_shape))

    def check(self) -> None:
        """Raise BadNetwork unless every phase can be built and the deployed network computes something."""
        for phase in PHASES:
            self.nodes(phase)
        if not self.outputs("deploy"):
            raise BadNetwork("the network has no output when it is deployed")
        total = sum(math.prod(weight.shape) for weight in self.weights())
        if total > MAX_WEIGHTS:
            largest = max(self.weights(), key=lambda weight: math.prod(weight.shape))
            raise BadNetwork(
                f"layer {largest.name.rpartition('.')[0]}: the network would have {total:,} weights, "
                f"{math.prod(largest.shape):,} of them in this layer; at most {MAX_WEIGHTS:,} are possible"
            )

    def shapes(self, phase: str = "deploy") -> dict[str, Shape]:
        """The shape of every top, without the batch axis."""
        return {
            top: shape for node in self.nodes(phase) for top, shape in zip(node.layer.tops, node.outputs, strict=True)
        }

    def outputs(self, phase: str = "deploy") -> list[str]:
        """The tops that no layer reads, in order: what the phase computes. Data and Input have none."""
        nodes = self.nodes(phase)
        made = [top for node in nodes if not isinstance(node.kind, ends.Source) for top in node.layer.tops]
        read = {bottom for node in nodes for bottom in node.layer.bottoms if bottom not in node.layer.tops}
        return [top for top in dict.fromkeys(made) if top not in read]

    def weights(self) -> list[Weight]:
        """The parameter arrays of all phases, each once."""
        return list({w.name: w for phase in PHASES for node in self.nodes(phase) for w in node.weights}.values())

    def initial_weights(self, seed: int) -> dict[str, np.ndarray]:
        """What training starts from, by name: float32, drawn from the seed alone, so the same on every engine."""
        return {weight.name: fill(weight.name, weight.shape, weight.spec.filler, seed) for weight in self.weights()}

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; from_dict gives an equal network back."""
        layers = [layer.to_dict() for layer in self.layers]
        shapes = {"input_shape": list(self.input_shape), "label_shape": list(self.label_shape)}
        return {"name": self.name, **shapes, "layers": layers}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Network:
        """Raises BadNetwork if a field is missing or of the wrong type; call check() for the rest."""
        try:
            layers = tuple(Layer.from_dict(layer) for layer in data["layers"])
            channels, height, width = data["input_shape"]
            return cls(data["name"], (channels, height, width), layers, tuple(data.get("label_shape", ())))
        except (KeyError, TypeError, ValueError) as error:
            raise BadNetwork(f"this is not a network: {type(error).__name__} {error}") from error


def parameter_count(network: Network) -> int:
    """How many numbers training learns."""
    return sum(math.prod(weight.shape) for weight in network.weights() if weight.learned)


def _resolve(layers: Sequence[Layer], data_shapes: tuple[Shape, Shape]) -> list[Node]:
    """`data_shapes`: those of an image and of its label."""
    for what, shape in zip(("input", "label"), data_shapes, strict=True):
        if any(not isinstance(size, int) or size < 1 for size in shape):
            raise BadNetwork(f"the {what} must have a size, not {shape}")
    known: dict[str, Shape] = {}
    nodes: list[Node] = []
    for position, layer in enumerate(layers):
        _check_names(layer, layers, position, known)
        try:
            node = _node(layer, [known[bottom] for bottom in layer.bottoms], data_shapes)
        except Misfit as misfit:
            raise BadNetwork(f"layer {layer.name}: {misfit}") from misfit
        known.update(zip(layer.tops, node.outputs, strict=True))
        nodes.append(node)
    return nodes


def _node(layer: Layer, inputs: list[Shape], data_shapes: tuple[Shape, Shape]) -> Node:
    if layer.type not in TYPES:
        raise Misfit(f"the type {layer.type!r} is not known")
    kind = parse(TYPES[layer.type], layer.parameters)
    _check_arity("input", len(inputs), *kind.bottoms)
    _check_arity("output", len(layer.tops), *kind.tops)
    is_source = isinstance(kind, ends.Source)
    outputs = (list(data_shapes) if is_source else kind.shapes(inputs))[: len(layer.tops)]
    specs = [] if is_source else kind.weights(inputs)
    for spec in specs:
        check_filler(spec.filler)
    multipliers = layer.multipliers + (Multipliers(),) * len(specs)
    weights = [Weight(f"{layer.name}.{s.role}", s, m) for s, m in zip(specs, multipliers, strict=False)]
    return Node(layer, kind, tuple(inputs), tuple(outputs), tuple(weights))


def _check_arity(what: str, count: int, least: int, most: int | None) -> None:
    if count < least or (most is not None and count > most):
        wanted = f"{least}" if least == most else f"{least} or more" if most is None else f"{least} to {most}"
        raise Misfit(f"must have {wanted} {what}s, not {count}")


def _check_names(layer: Layer, layers: Sequence[Layer], position: int, known: Mapping[str, Shape]) -> None:
    """Refuse a repeated layer name, an input that nothing made so far, and an output that another layer made."""
    if any(other.name == layer.name for other in layers[:position]):
        raise BadNetwork(f"layer {layer.name}: there are two layers of this name")
    for bottom in layer.bottoms:
        if bottom not in known:
            raise BadNetwork(f"layer {layer.name}: {_why_unknown(bottom, layer, layers[position:])}")
    for i, top in enumerate(layer.tops):
        if top in layer.tops[:i] or (top in known and top not in layer.bottoms):
            raise BadNetwork(f"layer {layer.name}: its output {top} is already the output of another layer")


def _why_unknown(bottom: str, layer: Layer, later: Sequence[Layer]) -> str:
    maker = next((other for other in later if bottom in other.tops), None)
    if maker is None:
        return f"its input {bottom} is not the output of any layer"
    reached = set(layer.tops)
    for other in later:
        if reached & set(other.bottoms):
            reached |= set(other.tops)
    if bottom in reached:
        return f"its input {bottom} depends on its own output (a cycle through layer {maker.name})"
    return f"its input {bottom} is made only further down, by layer {maker.name}"
