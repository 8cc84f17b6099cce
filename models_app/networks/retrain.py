"""Adapts a trained network to another dataset: the same layers, with one score per category of the new dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from models_app.networks.graph import Network
from models_app.networks.layer import BadNetwork, Layer
from models_app.networks.layers import Shape
from models_app.networks.timm.timm_network import TimmNetwork

SCORE_READERS = ("SoftmaxWithLoss", "Accuracy", "Softmax")  # the first input of each is the scores of the categories
SUFFIX = "_retrain"  # DIGITS's


def retrained(
    network: Network,
    image_shape: tuple[int, int, int],
    label_shape: Shape = (),
    categories: tuple[int, int] | None = None,
    crop_size: int | None = None,
) -> Network:
    """The network for images and labels of these shapes, checked. Raises BadNetwork if a layer does not fit them.

    `categories`: the old and the new number of categories. If they differ, the layers that compute the scores get a
    new width and a new name, so that they do not start from the old weights. `crop_size` None: the network's own;
    0: none.
    """
    if isinstance(network, TimmNetwork):
        network, categories = network.with_categories(categories[1] if categories else network.categories), None
    layers = network.layers
    if categories and categories[0] != categories[1]:
        scoring = scoring_layers(layers)
        layers = tuple(_afresh(layer, layers, *categories) if layer in scoring else layer for layer in layers)
    crop_size = _crop_size(layers) if crop_size is None else crop_size
    layers = tuple(_cropped(layer, crop_size) for layer in layers)
    if crop_size:
        channels, height, width = image_shape
        if crop_size > min(height, width):
            raise BadNetwork(
                f"the network takes {crop_size}×{crop_size} of an image, and the images are {height}×{width}"
            )
        image_shape = (channels, crop_size, crop_size)
    normalization = network.normalization and network.normalization.for_channels(image_shape[0])
    changed = replace(
        network, layers=layers, input_shape=image_shape, label_shape=label_shape, normalization=normalization
    )
    changed.check()
    return changed


def prepared_as(other: Mapping[str, Any], network: Network) -> Network:
    """The network with the normalization and the resizing of another, which is given as Network.to_dict."""
    own = Network.from_dict(other)
    normalization = own.normalization and own.normalization.for_channels(network.input_shape[0])
    return replace(network, normalization=normalization, resizing=own.resizing or network.resizing)


def for_any_dataset(network: Network, categories: int) -> Network:
    """The network without its number of categories, as a template: prototxt allows leaving num_output out.

    Such a network can't be built. prototxt.write writes it, and prototxt.read fills in the number.
    """
    open_ended = [layer for layer in scoring_layers(network.layers) if layer.type == "InnerProduct"]

    def opened(layer: Layer) -> Layer:
        if layer not in open_ended or layer.parameters["num_output"] != categories:
            return layer
        return replace(layer, parameters={k: v for k, v in layer.parameters.items() if k != "num_output"})

    return replace(network, layers=tuple(map(opened, network.layers)))


def scoring_layers(layers: Sequence[Layer]) -> list[Layer]:
    """The layers that compute the scores: going up from each loss, accuracy or softmax, the first with num_output."""
    found: list[Layer] = []
    seen: set[tuple[str, int]] = set()
    above = [(layer.bottoms[0], i) for i, layer in enumerate(layers) if layer.type in SCORE_READERS]
    while above:
        top, below = above.pop()
        place = next((i for i in reversed(range(below)) if top in layers[i].tops), None)
        if place is None or (top, place) in seen:
            continue
        seen.add((top, place))
        if "num_output" in layers[place].parameters:
            found.append(layers[place])
        elif layers[place].type != "Concat":  # which adds up the outputs of several
            above += [(bottom, place) for bottom in layers[place].bottoms]
    return found


def _afresh(layer: Layer, layers: Sequence[Layer], before: int, now: int) -> Layer:
    name = layer.name + SUFFIX
    while any(other.name == name for other in layers):
        name += SUFFIX
    outputs = layer.parameters["num_output"]
    return replace(
        layer, name=name, parameters={**layer.parameters, "num_output": now if outputs == before else outputs}
    )


def _crop_size(layers: Sequence[Layer]) -> int:
    return max((layer.parameters.get("crop_size", 0) for layer in layers if layer.type == "Data"), default=0)


def _cropped(layer: Layer, crop_size: int) -> Layer:
    if layer.type != "Data":
        return layer
    others = {name: value for name, value in layer.parameters.items() if name != "crop_size"}
    return replace(layer, parameters=others | ({"crop_size": crop_size} if crop_size else {}))
