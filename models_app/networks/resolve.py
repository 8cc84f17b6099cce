"""Resolves layers to nodes: connects names, checks parameters, computes shapes and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models_app.networks.fillers import check_filler
from models_app.networks.layer import BadNetwork, Layer, Multipliers
from models_app.networks.layers import TYPES, LayerType, Misfit, Shape, WeightSpec, data_and_losses, parse
from models_app.networks.layers.layer_type import check_finite, check_size

Value = tuple[str, str]  # (layer, top); a later layer can overwrite the top


@dataclass(frozen=True)
class Weight:
    """A weight array of the network. `name` is "<layer>.<role>" and unique."""

    name: str
    spec: WeightSpec
    multipliers: Multipliers

    @property
    def shape(self) -> Shape:
        return self.spec.shape

    @property
    def layer(self) -> str:
        """The name of the layer that the weight belongs to; a weight of no layer in particular is its own."""
        return self.name.rpartition(".")[0] or self.name

    @property
    def learned(self) -> bool:
        return self.spec.learned

    @property
    def trained(self) -> bool:
        """Whether the solver changes the weight."""
        return self.learned and self.multipliers.lr_mult != 0


@dataclass(frozen=True)
class FileWeights:
    """The weights of a file that fit a network: float32 arrays by the names of the network's weights.

    `layers` maps each layer of the file that has weights, under the network's name for it if there is one, to the
    shapes of its weights; the shapes can be missing if the network does not have that layer. `misfits` are the shapes
    of weights that the file has in another shape than the network.
    """

    arrays: dict[str, np.ndarray]
    layers: dict[str, list[Shape]]
    misfits: dict[str, Shape] = field(default_factory=dict)


@dataclass(frozen=True)
class Node:
    """A resolved layer: its checked parameters, and the shapes of its inputs and outputs without the batch axis.

    `reads` gives for each input the value that it reads; None: the dataset's labels.
    """

    layer: Layer
    kind: Any  # an instance of the LayerType that layer.type names
    inputs: tuple[Shape, ...]
    reads: tuple[Value | None, ...]
    outputs: tuple[Shape, ...]
    weights: tuple[Weight, ...]


class Resolver:
    """Resolves the layers of one phase in order, and keeps the tops computed so far.

    `data_shapes`: those of images and labels. `resolved` holds the nodes of other phases by layer name: most are equal,
    and checking them again would take time. `types`: the layer types by name.
    """

    def __init__(
        self,
        layers: Sequence[Layer],
        data_shapes: tuple[Shape, Shape],
        phase: str,
        resolved: dict[str, Node],
        types: Mapping[str, type[LayerType]] = TYPES,
    ) -> None:
        self.nodes: list[Node] = []
        self._resolved = resolved
        self._layers = layers
        self._data_shapes = data_shapes
        self._types = types
        self._phase = phase
        self._names: set[str] = set()
        self._known: dict[str, tuple[Shape, Value | None]] = {}  # of each top its shape and the value it holds
        self._unreadable: dict[str, str] = {}  # tops that no layer can compute with, and why

    def run(self) -> tuple[Node, ...]:
        """The nodes. Raises BadNetwork with the name of the layer that is wrong."""
        for position, layer in enumerate(self._layers):
            try:
                self._add(layer, position)
            except Misfit as misfit:
                raise BadNetwork(f"layer {layer.name}: {misfit}") from misfit
        return tuple(self.nodes)

    def _add(self, layer: Layer, position: int) -> None:
        if layer.name in self._names:
            raise Misfit("there are two layers of this name")
        self._names.add(layer.name)
        self._check_inputs(layer, position)
        shapes, reads = (
            zip(*(self._known[bottom] for bottom in layer.bottoms), strict=True) if layer.bottoms else ((), ())
        )
        node = self._resolved.get(layer.name)
        if node is None or node.layer is not layer or (node.inputs, node.reads) != (shapes, reads):
            node = self._resolved[layer.name] = _node(layer, shapes, reads, self._data_shapes, self._types)
        if isinstance(node.kind, data_and_losses.Criterion) and self._phase == "deploy":
            raise Misfit(f"{layer.type} compares with labels: it can't be part of the deployed network")
        self._check_outputs(layer)
        self._learn(node)
        self.nodes.append(node)

    def _check_inputs(self, layer: Layer, position: int) -> None:
        """Raise BadNetwork for an input that no earlier layer computes, or that can't be read."""
        for bottom in layer.bottoms:
            if bottom in self._unreadable and layer.type != "Silence":
                raise Misfit(f"its input {bottom} {self._unreadable[bottom]}")
            if bottom not in self._known:
                raise Misfit(_why_unknown(bottom, layer, self._layers[position:]))

    def _check_outputs(self, layer: Layer) -> None:
        """Raise BadNetwork for an output that another layer has already, unless this layer reads it (in place)."""
        bottoms, seen = set(layer.bottoms), set()
        for top in layer.tops:
            if top in seen or (top in self._known and top not in bottoms):
                raise Misfit(f"its output {top} is already the output of another layer")
            seen.add(top)

    def _learn(self, node: Node) -> None:
        """Add the node's tops to those computed so far."""
        tops = node.layer.tops
        made: list[Value | None] = [(node.layer.name, top) for top in tops]
        if isinstance(node.kind, data_and_losses.DataSource):
            if any(isinstance(other.kind, data_and_losses.DataSource) for other in self.nodes):
                raise Misfit("another layer already provides the images; one Data layer has images and labels")
            made[1:] = [None] * len(made[1:])
            if self._phase == "deploy":
                self._unreadable |= dict.fromkeys(tops[1:], "holds labels, which a deployed network does not have")
        if isinstance(node.kind, data_and_losses.Criterion):
            self._unreadable |= dict.fromkeys(tops, "is the output of a loss or an accuracy, which no layer can use")
        self._known.update(zip(tops, zip(node.outputs, made, strict=True), strict=True))


def _node(
    layer: Layer,
    inputs: tuple[Shape, ...],
    reads: tuple,
    data_shapes: tuple[Shape, Shape],
    types: Mapping[str, type[LayerType]],
) -> Node:
    if layer.type not in types:
        raise Misfit(f"the type {layer.type!r} is not known")
    kind = parse(types[layer.type], layer.parameters, len(layer.tops))
    _check_arity("input", len(inputs), *kind.bottoms)
    _check_arity("output", len(layer.tops), *kind.tops)
    is_source = isinstance(kind, data_and_losses.DataSource)
    outputs = (list(data_shapes) if is_source else kind.shapes(inputs))[: len(layer.tops)]
    for shape in outputs:
        check_size(shape)
    specs = [] if is_source else kind.weights(inputs)
    for spec in specs:
        check_filler(spec.filler, spec.shape)
    for given in layer.multipliers:
        check_finite("lr_mult", given.lr_mult)
        check_finite("decay_mult", given.decay_mult)
    multipliers = layer.multipliers + (Multipliers(),) * len(specs)
    weights = [Weight(f"{layer.name}.{s.role}", s, m) for s, m in zip(specs, multipliers, strict=False)]
    return Node(layer, kind, inputs, reads, tuple(outputs), tuple(weights))


def _check_arity(what: str, count: int, least: int, most: int | None) -> None:
    if count < least or (most is not None and count > most):
        wanted = f"{least}" if least == most else f"{least} or more" if most is None else f"{least} to {most}"
        raise Misfit(f"must have {wanted} {what}s, not {count}")


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
