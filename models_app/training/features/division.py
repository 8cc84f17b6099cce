"""Divides a network, of which only the head is trained, into the layers that compute features and those that learn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from models_app.networks import BadNetwork, Layer, Network, Node, TimmNetwork
from models_app.networks.layer import PHASES
from models_app.networks.layers import Shape, data_and_losses
from models_app.networks.layers.dense import BatchNorm
from models_app.networks.layers.elementwise import Dropout
from models_app.networks.resolve import Value

FEATURES = "features"  # the top between the two parts, if no layer has that name


@dataclass(frozen=True)
class NetworkParts:
    """The two parts of a network. Layers and weights keep their names.

    backbone: computes from an image its features, one row of `size` numbers, the network's only output when deployed.
        Its layers change nothing in a training: every weight is fixed, and nothing in them is random.
    head: computes from the features, a network input of the shape (1, 1, size), losses and accuracies.
    """

    backbone: Network
    head: Network

    @property
    def size(self) -> int:
        """How many numbers the features of an image are."""
        return self.head.input_shape[2]


def divide(network: Network) -> NetworkParts:
    """Divide a network as tuned() returns it. Raises BadNetwork if its layers can't be divided."""
    if isinstance(network, TimmNetwork):
        return _divided_timm(network)
    learning = _learning(network)
    tops = _tops_between(network, learning)
    known = {layer.name for layer in network.layers} | {top for layer in network.layers for top in layer.tops}
    names = _FreeNames(known)
    features = names.take(FEATURES)
    backbone = replace(
        network, layers=(*_backbone_layers(network, learning, tops), *_joined(tops, features, names)), label_shape=()
    )
    size = sum(map(math.prod, tops.values()))
    layers = [layer for layer in network.layers if layer.name in learning]
    sources = [_source(layer, features) for layer in _data_layers(network)]
    head = replace(
        network,
        layers=(*sources, *_divided(tops, features, names), *layers),
        input_shape=(1, 1, size),
        normalization=None,
    )
    backbone.check()
    for phase in ("train", "val"):
        head.nodes(phase)
    return NetworkParts(backbone, head)


def _divided_timm(network: TimmNetwork) -> NetworkParts:
    if network.trained_blocks != 0:
        raise BadNetwork("layers below the head are trained")
    parts = NetworkParts(network.without_head(FEATURES), network.head_alone(FEATURES))
    parts.backbone.check()
    for phase in ("train", "val"):
        parts.head.nodes(phase)
    return parts


class _FreeNames:
    """Names that no layer and no top of the network has."""

    def __init__(self, taken: set[str]) -> None:
        self._taken = set(taken)

    def take(self, wanted: str) -> str:
        """A free name, which is used from now on."""
        name = wanted
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name


def _nodes(network: Network) -> Iterator[Node]:
    """The nodes of all phases without those that provide the images; a layer in several phases comes several times."""
    for phase in PHASES:
        for node in network.nodes(phase):
            if not isinstance(node.kind, data_and_losses.DataSource):
                yield node


def _data_layers(network: Network) -> list[Layer]:
    nodes = (node for phase in PHASES for node in network.nodes(phase))
    layers = [node.layer for node in nodes if isinstance(node.kind, data_and_losses.DataSource)]
    return list({layer.name: layer for layer in layers}.values())


def _learning(network: Network) -> set[str]:
    """The names of the layers whose outputs depend on the training: on trained weights, labels, or random numbers."""
    found: set[str] = set()
    before = -1
    while before < len(found):  # a layer of one phase can make one of another depend on it
        before = len(found)
        for node in _nodes(network):
            if _changes(node) or any(value is None or value[0] in found for value in node.reads):
                found.add(node.layer.name)
    return found


def _changes(node: Node) -> bool:
    moves = isinstance(node.kind, BatchNorm) and not node.kind.use_global_stats
    compares = isinstance(node.kind, data_and_losses.Criterion)
    return moves or compares or isinstance(node.kind, Dropout) or any(weight.trained for weight in node.weights)


def _tops_between(network: Network, learning: set[str]) -> dict[str, Shape]:
    """The tops of the backbone that learning layers read, with their shapes. Raises BadNetwork."""
    data = {layer.name for layer in _data_layers(network)}
    fixed = [node for node in _nodes(network) if node.layer.name not in learning]
    last = {top: node.layer.name for node in fixed for top in node.layer.tops}
    found: dict[str, Shape] = {}
    for node in (node for node in _nodes(network) if node.layer.name in learning):
        for value, shape in zip(node.reads, node.inputs, strict=True):
            if value is None or value[0] in learning:
                continue
            layer, top = value
            if layer in data:
                raise BadNetwork(f"layer {node.layer.name} is trained on the images themselves")
            if last[top] != layer:
                raise BadNetwork(f"layer {node.layer.name} reads {top}, which layer {last[top]} changes in place")
            found[top] = shape
    if not any(node.weights for node in fixed):
        raise BadNetwork("below the layers that are trained none has weights, so there are no features to keep")
    return found


def _backbone_layers(network: Network, learning: set[str], tops: Mapping[str, Shape]) -> list[Layer]:
    """The layers that `tops` need, in every phase; the images come first."""
    data = {layer.name for layer in _data_layers(network)}
    fixed = [node for node in _nodes(network) if node.layer.name not in learning]
    makers: dict[Value, Node] = {(node.layer.name, top): node for node in fixed for top in node.layer.tops}
    wanted = [value for value in makers if value[1] in tops]
    needed: set[str] = set()
    while wanted:
        layer, top = wanted.pop()
        if layer in data or layer in needed:
            continue
        needed.add(layer)
        wanted += [value for value in makers[layer, top].reads if value is not None]
    [source, *_] = _data_layers(network)
    images = Layer(source.name, "Data", (), source.tops[:1])
    return [images, *(replace(layer, phases=PHASES) for layer in network.layers if layer.name in needed)]


def _joined(tops: Mapping[str, Shape], features: str, names: _FreeNames) -> list[Layer]:
    """Layers that make one row, the top `features`, of all tops."""
    if len(tops) == 1:
        return [Layer(features, "Flatten", tuple(tops), (features,))]
    rows = [names.take(f"{top}/row") for top in tops]
    flat = [Layer(row, "Flatten", (top,), (row,)) for row, top in zip(rows, tops, strict=True)]
    return [*flat, Layer(features, "Concat", tuple(rows), (features,))]


def _divided(tops: Mapping[str, Shape], features: str, names: _FreeNames) -> list[Layer]:
    """Layers that make the tops again of the row, the inverse of _joined()."""
    rows: tuple[str, ...] = (features,)
    layers = []
    if len(tops) > 1:
        rows = tuple(names.take(f"{top}/part") for top in tops)
        sizes = [math.prod(shape) for shape in tops.values()]
        points = [sum(sizes[:number]) for number in range(1, len(sizes))]
        slices = {"slice_point": points, "axis": 3}
        layers.append(Layer(names.take("features/parts"), "Slice", (features,), rows, slices))
    for row, (top, shape) in zip(rows, tops.items(), strict=True):
        layers.append(Layer(names.take(f"{top}/shape"), "Reshape", (row,), (top,), {"shape": [0, *shape]}))
    return layers


def _source(layer: Layer, features: str) -> Layer:
    """The layer that provides the features instead of the images, and the same labels."""
    return Layer(layer.name, "Data", (), (features, *layer.tops[1:]), phases=layer.phases)
