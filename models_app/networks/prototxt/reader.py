"""Builds a Network from a prototxt, with DIGITS's conventions.

One text holds three networks: training (phase TRAIN, stage train), validation (TEST, val) and deployment (TEST,
deploy). As DIGITS does, this module fills in the parts that depend on the dataset: source and shape of the images,
num_output of an InnerProduct that names none, and the softmax of a deployed classifier. If the text has no loss for
validation, the losses of training are used there too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from models_app.networks.graph import Network
from models_app.networks.layer import BadNetwork, Layer
from models_app.networks.layers import TYPES, Misfit, Shape, data_and_losses
from models_app.networks.prototxt import data_layers, deploy
from models_app.networks.prototxt.data_layers import Feed, Placed
from models_app.networks.prototxt.declared import Declared, Text, take_apart
from models_app.networks.prototxt.parameters import multipliers_of, parameters_of


def read(
    text: str,
    image_shape: tuple[int, int, int],
    categories: int | None = None,
    label_shape: Shape = (),
    crop_size: int | None = None,
    *,
    checked: bool = True,
) -> Network:
    """The network, checked, for images of this shape (channels, height, width).

    With `categories` it is a classifier. `crop_size` (0: none) overrides the text's, which is limited to the size of
    the images. checked=False is for shapes that are not known yet: then only errors of the text itself are found.
    Raises BadNetwork, which names layer, type and line, or line and column.
    """
    declared = take_apart(text)
    hidden = _hidden(declared, categories)
    found = data_layers.feeds(declared.layers)
    if not found:
        found = dict.fromkeys(data_layers.LABELLED, _added_feed(declared, hidden, categories is not None))
    else:
        found = _with_labels(found, hidden)
    hidden = _validated(hidden, found["val"].tops)
    labels = {top for feed in found.values() for top in feed.tops[1:]}
    layers = deploy.without_labels([layer for _, layer in hidden], labels)
    if categories is not None:
        layers = deploy.with_softmax(layers, taken=[one.name for one in declared.layers])
        layers = deploy.without_dead_ends(layers)
    crop = _crop(found["train"], image_shape, crop_size)
    first = data_layers.build(found, _inputs(declared), _wanted(declared, layers, found["train"]), crop)
    places = [place for place, _ in hidden] + [len(declared.layers)] * (len(layers) - len(hidden))
    ordered = sorted([*first, *zip(places, layers, strict=True)], key=lambda placed: placed[0])
    size = (crop, crop) if crop else image_shape[1:]
    used = tuple(layer for _, layer in ordered if layer.phases)
    network = Network(declared.name, (image_shape[0], *size), used, label_shape)
    if checked:
        _check(network, declared)
    return network


@contextmanager
def located(text: str) -> Iterator[None]:
    """Add type and line of the layer to a BadNetwork raised inside the block."""
    try:
        yield
    except BadNetwork as error:
        raise _located(str(error), take_apart(text)) from error


def batch_size(text: str) -> int | None:
    """The batch size of the text's Data layer for training; None if it has none. Raises BadNetwork."""
    for layer in take_apart(text).layers:
        if data_layers.is_data(layer) and "train" in layer.phases:
            return data_layers.batch_size_of(layer)
    return None


def _hidden(declared: Text, categories: int | None) -> list[Placed]:
    """All layers but Data and Input, each with its position in the text."""
    owners: dict[str, str] = {}
    hidden = []
    for place, one in enumerate(declared.layers):
        if data_layers.is_data(one) or one.type == "Input" or not one.phases:
            continue
        with one.located():
            layer = _layer(one, categories, owners)
        if categories is None or layer.parameters.get("top_k", 0) <= categories:  # else DIGITS leaves it out
            hidden.append((place, layer))
    return hidden


def _layer(one: Declared, categories: int | None, owners: dict[str, str]) -> Layer:
    if one.type not in TYPES:
        raise Misfit(f"the type is not known; known are {', '.join(sorted(TYPES))}")
    parameters = parameters_of(TYPES[one.type], one.message)
    if one.type == "InnerProduct" and categories is not None:
        parameters.setdefault("num_output", categories)
    for field in one.message.all("propagate_down"):
        if str(field.value) not in ("1", "true", "True", "t") and not deploy.is_verdict(Layer(one.name, one.type)):
            raise Misfit(f"propagate_down can't be false; to fix weights, set lr_mult to 0 (line {field.line})")
    multipliers, shared = multipliers_of(one.message)
    for name in shared:
        if name and owners.setdefault(name, one.name) != one.name:
            raise Misfit(f"shares its parameter {name} with layer {owners[name]}; weights can't be shared")
    return Layer(one.name, one.type, one.bottoms, one.tops, parameters, multipliers, one.phases)


def _added_feed(declared: Text, hidden: Sequence[Placed], classifier: bool) -> Feed:
    """The Data layer that DIGITS adds to a text without one."""
    inputs = [top for one in declared.layers if one.type == "Input" for top in one.tops]
    images = next(iter([*declared.inputs, *inputs]), "data")
    labelled = classifier or any("label" in layer.bottoms for _, layer in hidden)
    tops = (images, "label") if labelled else (images,)
    return Feed("data", tops, (1.0,) * len(tops), 0, False, -1)


def _with_labels(found: dict[str, Feed], hidden: Sequence[Placed]) -> dict[str, Feed]:
    """The feeds with labels: as DIGITS, add the top `label` to Data layers of images only, if a layer reads it and none
    computes it."""
    made = {top for feed in found.values() for top in feed.tops} | {top for _, layer in hidden for top in layer.tops}
    is_read = any("label" in layer.bottoms for _, layer in hidden)
    if not is_read or "label" in made or any(len(feed.tops) > 1 for feed in found.values()):
        return found
    return {
        phase: replace(feed, tops=(*feed.tops, "label"), scales=(*feed.scales, 1.0)) for phase, feed in found.items()
    }


def _inputs(declared: Text) -> list[Placed]:
    """The deployed Input layers; at most one is allowed. Its shape comes from the dataset."""
    inputs = [(place, one) for place, one in enumerate(declared.layers) if one.type == "Input" and one.phases]
    for _, one in inputs[1:]:
        with one.located():
            raise Misfit("a network takes one input, its images")
    return [
        (place, Layer(one.name, "Input", one.bottoms, one.tops, phases=("deploy",)))
        for place, one in inputs
        if "deploy" in one.phases
    ]


def _wanted(declared: Text, layers: Sequence[Layer], train: Feed) -> str:
    """The name of the deployed network's input if there is no Input layer."""
    unmade = deploy.missing(layers)
    said = declared.inputs[:1] or [name for name in (train.tops[0], "data") if name in unmade]
    return said[0] if said else train.tops[0]


def _crop(train: Feed, image_shape: tuple[int, int, int], crop_size: int | None) -> int:
    """The side of the square that is cropped from the images, in pixels; 0: none."""
    smaller = min(image_shape[1:])
    if crop_size is None:
        return min(train.crop_size, smaller)
    if not 0 <= crop_size <= smaller:
        raise BadNetwork(f"crop_size {crop_size} does not fit the images, {image_shape[1]}×{image_shape[2]}")
    return crop_size


def _check(network: Network, declared: Text) -> None:
    """Network.check(), with type and line of the wrong layer in the message."""
    try:
        network.check()
    except BadNetwork as error:
        raise _located(str(error), declared) from error


def _located(message: str, declared: Text) -> BadNetwork:
    candidates = [one for one in declared.layers if message.startswith(f"layer {one.name}: ")]
    if not candidates:
        return BadNetwork(message)
    one = max(candidates, key=lambda layer: (len(layer.name), layer.line))
    return BadNetwork(f"layer {one.name} {one.place}{message.removeprefix(f'layer {one.name}')}")


def _validated(placed: Sequence[Placed], fed: Sequence[str]) -> list[Placed]:
    """The layers. If no layer of the phase val is a loss, the losses of training are added to that phase.

    Caffe's own train_val texts often have the loss in TRAIN and the accuracy in TEST alone (SqueezeNet v1.0). Caffe
    then reports no validation loss; this server needs one to choose the best snapshot. A loss whose inputs are not
    computed in validation is not added. `fed` are the tops of the Data layer of validation.
    """
    layers = [layer for _, layer in placed]
    if any(_is_loss(layer) and "val" in layer.phases for layer in layers):
        return list(placed)
    made = {*fed, *(top for layer in layers if "val" in layer.phases for top in layer.tops)}
    return [(place, _in_validation(layer) if _can_validate(layer, made) else layer) for place, layer in placed]


def _can_validate(layer: Layer, made: set[str]) -> bool:
    return (
        _is_loss(layer) and "train" in layer.phases and made.issuperset(layer.bottoms) and made.isdisjoint(layer.tops)
    )


def _in_validation(layer: Layer) -> Layer:
    return replace(layer, phases=("train", "val", *(phase for phase in layer.phases if phase not in ("train", "val"))))


def _is_loss(layer: Layer) -> bool:
    return issubclass(TYPES[layer.type], data_and_losses.Loss)
