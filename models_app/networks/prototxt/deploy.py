"""Selects the layers of the deployed network: those that need no labels; of a classifier, those that lead to a
softmax."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from models_app.networks.layer import Layer
from models_app.networks.layers import TYPES, data_and_losses
from models_app.networks.prototxt.data_layers import unused

DEPLOY = "deploy"


def without_labels(layers: Sequence[Layer], labels: Iterable[str]) -> list[Layer]:
    """The layers; criteria, and layers that read the output of one, are removed from the phase deploy."""
    absent, kept = set(labels), []
    for layer in layers:
        if DEPLOY in layer.phases:
            if is_verdict(layer) or absent.intersection(layer.bottoms):
                absent.update(layer.tops)
                layer = _withdrawn(layer)
            else:
                absent.difference_update(layer.tops)
        kept.append(layer)
    return kept


def with_softmax(layers: Sequence[Layer], taken: Iterable[str]) -> list[Layer]:
    """The layers of a classifier. If no deployed layer is a Softmax, one is added for the scores of the last
    SoftmaxWithLoss. `taken` are the names of other layers and tops."""
    losses = [layer for layer in layers if layer.type == "SoftmaxWithLoss" and layer.bottoms]
    if not losses or any(layer.type == "Softmax" and DEPLOY in layer.phases for layer in layers):
        return list(layers)
    names = {*taken, *(layer.name for layer in layers), *(top for layer in layers for top in layer.tops)}
    name = unused("softmax", names)
    return [*layers, Layer(name, "Softmax", losses[-1].bottoms[:1], (name,), phases=(DEPLOY,))]


def without_dead_ends(layers: Sequence[Layer]) -> list[Layer]:
    """The layers of a classifier; those that lead only to criteria, such as auxiliary classifiers, are removed from the
    phase deploy."""
    compared = {bottom for layer in layers if is_verdict(layer) for bottom in layer.bottoms}
    read = {b for layer in layers if DEPLOY in layer.phases for b in layer.bottoms if b not in layer.tops}
    needed = {top for layer in layers if DEPLOY in layer.phases for top in layer.tops} - (compared | read)
    kept = []
    for layer in reversed(layers):
        if DEPLOY in layer.phases:
            if needed.isdisjoint(layer.tops) and layer.tops:
                layer = _withdrawn(layer)
            else:
                needed.update(layer.bottoms)
        kept.append(layer)
    return kept[::-1]


def missing(layers: Sequence[Layer]) -> list[str]:
    """The inputs of deployed layers that no earlier deployed layer computes."""
    made: set[str] = set()
    found: dict[str, None] = {}
    for layer in layers:
        if DEPLOY in layer.phases:
            found.update(dict.fromkeys(bottom for bottom in layer.bottoms if bottom not in made))
            made.update(layer.tops)
    return list(found)


def is_verdict(layer: Layer) -> bool:
    """Whether the layer is a criterion, which compares with labels."""
    return issubclass(TYPES[layer.type], data_and_losses.Criterion)


def _withdrawn(layer: Layer) -> Layer:
    return replace(layer, phases=tuple(phase for phase in layer.phases if phase != DEPLOY))
