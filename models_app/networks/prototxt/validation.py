"""Gives a text without a validation loss the losses of its training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from models_app.networks.layer import Layer
from models_app.networks.layers import TYPES, data_and_losses
from models_app.networks.prototxt.data_layers import Placed

VAL, TRAIN = "val", "train"


def validated(placed: Sequence[Placed], fed: Sequence[str]) -> list[Placed]:
    """The layers. If no layer of the phase val is a loss, the losses of training are added to that phase.

    Caffe's own train_val texts often have the loss in TRAIN and the accuracy in TEST alone (SqueezeNet v1.0). Caffe
    then reports no validation loss; this server needs one to choose the best snapshot. A loss whose inputs are not
    computed in validation is not added. `fed` are the tops of the Data layer of validation.
    """
    layers = [layer for _, layer in placed]
    if any(_is_loss(layer) and VAL in layer.phases for layer in layers):
        return list(placed)
    made = {*fed, *(top for layer in layers if VAL in layer.phases for top in layer.tops)}
    return [(place, _in_validation(layer) if _can_validate(layer, made) else layer) for place, layer in placed]


def _can_validate(layer: Layer, made: set[str]) -> bool:
    return _is_loss(layer) and TRAIN in layer.phases and made.issuperset(layer.bottoms) and made.isdisjoint(layer.tops)


def _in_validation(layer: Layer) -> Layer:
    return replace(layer, phases=(TRAIN, VAL, *(phase for phase in layer.phases if phase not in (TRAIN, VAL))))


def _is_loss(layer: Layer) -> bool:
    return issubclass(TYPES[layer.type], data_and_losses.Loss)
