"""What a network costs: multiplications, numbers and bytes, counted from the shapes of its layers. No Django."""

from __future__ import annotations

import math
from dataclasses import dataclass

from models_app.networks import Network, Node, TimmNetwork
from models_app.networks.fine_tuning import FineTuning, tuned
from models_app.networks.kept_values import kept_values

FLOAT_BYTES = 4
GROUPED = 15  # a multiplication of a depth-wise convolution takes as long as so many others


@dataclass(frozen=True)
class NetworkCosts:
    """The costs of one image.

    multiplications: of the forward pass, in the layers with weights.
    work: the same, where those of depth-wise convolutions count GROUPED times.
    values: how many numbers the layers compute, which have to be written to memory and read again.
    backward: the part of both that the backward pass goes through, 0 to 1: down to the lowest layer that is trained.
    features: how many numbers the lowest trained layer reads.
    kept: how many numbers a training keeps until its backward pass at least.
    weights, trained: how many numbers the network has, and how many of them are trained.
    """

    multiplications: int
    work: int
    values: int
    backward: float
    features: int
    kept: int
    weights: int
    trained: int

    @property
    def memory(self) -> int:
        """Bytes that the values of one image take in a training, with their gradients."""
        return FLOAT_BYTES * max(self.kept, round(self.values * (1 + self.backward)))


def costs_of(network: Network, how: FineTuning | None = None) -> NetworkCosts:
    """The costs of a network whose layers are trained as `how` says. Raises BadNetwork."""
    trained = tuned(network, how) if how else network
    if isinstance(trained, TimmNetwork):
        return _costs_of_timm(trained)
    nodes = [node for node in trained.nodes("train") if node.inputs]
    multiplications = [_multiplications(node) for node in nodes]
    work = [number * _slowness(node) for number, node in zip(multiplications, nodes, strict=True)]
    values = [sum(map(math.prod, node.outputs)) for node in nodes]
    lowest = next((place for place, node in enumerate(nodes) if _is_trained(node)), len(nodes))
    total = sum(work) + sum(values)
    weights = network.weights()
    return NetworkCosts(
        multiplications=sum(multiplications),
        work=sum(work),
        values=sum(values),
        backward=(sum(work[lowest:]) + sum(values[lowest:])) / total if total else 0.0,
        features=math.prod(nodes[lowest].inputs[0]) if lowest < len(nodes) else 0,
        kept=kept_values(trained),
        weights=sum(math.prod(weight.shape) for weight in weights),
        trained=sum(math.prod(weight.shape) for weight in trained.weights() if weight.trained),
    )


def _costs_of_timm(network: TimmNetwork) -> NetworkCosts:
    """The costs that the catalogue has for images of the network's own size, by the area of these images. Of the blocks
    of a network each counts the same."""
    facts = network.facts
    area = network.area
    head = facts.per_category * network.categories
    share = 1.0
    if network.trained_blocks is not None:
        share = min(1.0, network.trained_blocks / max(1, facts.blocks))
    return NetworkCosts(
        multiplications=round(facts.multiplications * area),
        work=round(facts.work * area),
        values=round(facts.values * area),
        backward=share,
        features=facts.features,
        kept=kept_values(network),
        weights=network.parameter_count(),
        trained=round(facts.parameters * share) + head,
    )


def _is_trained(node: Node) -> bool:
    return any(weight.trained for weight in node.weights)


def _slowness(node: Node) -> int:
    return GROUPED if node.layer.parameters.get("group", 1) > 1 else 1


def _multiplications(node: Node) -> int:
    """Those of convolutions and inner products; other layers cost what their values cost."""
    if not node.weights or len(node.weights[0].shape) < 2:
        return 0
    places = math.prod(node.outputs[0][1:]) if len(node.outputs[0]) > 1 else 1
    if node.layer.type == "InnerProduct":
        places = 1
    return math.prod(node.weights[0].shape) * places
