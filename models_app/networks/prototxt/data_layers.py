"""Finds where a network's images and labels come from: the Data and Input layers of its text, and the implied ones.

DIGITS's conventions: a Data layer reads the dataset, no matter which source it names. A network without a Data layer
gets one with the tops data and label. The deployed network takes images only, under the name data or the name that its
layers read. The mean is set by the form, not by the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from models_app.networks.layer import PHASES, BadNetwork, Layer
from models_app.networks.layers import Misfit
from models_app.networks.prototxt.declared import Declared, messages, single
from models_app.networks.prototxt.schema import DATA_MESSAGES, DATA_TYPES
from models_app.networks.prototxt.text import Message

LABELLED = ("train", "val")

# The fields of a Data layer's transformation. Its mean is ignored: the form sets the mean.
_TRANSFORMS = {"crop_size", "force_color", "force_gray", "mean_file", "mean_value", "mirror", "scale"}

Placed = tuple[int, Layer]  # a layer and its position among the layers of the text


@dataclass(frozen=True)
class Feed:
    """A Data layer, or a pair of Data layers of which the second reads the labels. `scales` are factors on its tops."""

    name: str
    tops: tuple[str, ...]
    scales: tuple[float, ...]
    crop_size: int
    mirror: bool
    place: int


def is_data(layer: Declared) -> bool:
    return layer.type in DATA_TYPES


def feeds(layers: Sequence[Declared]) -> dict[str, Feed]:
    """{phase: feed} of training and validation. If the text has one feed only, both phases use it; {} without any."""
    found: dict[str, Feed] = {}
    for phase in LABELLED:
        taking_part = [(i, one) for i, one in enumerate(layers) if is_data(one) and phase in one.phases]
        if len(taking_part) > 2:
            with taking_part[2][1].located():
                raise Misfit(
                    f"is the third Data layer of the phase {phase}; there may be one, or one for the labels too"
                )
        if taking_part:
            found[phase] = _joined([_feed(place, one) for place, one in taking_part])
    for phase, other in (LABELLED, LABELLED[::-1]):
        if phase not in found and other in found:
            found[phase] = found[other]
    return found


def batch_size_of(layer: Declared) -> int | None:
    """The Data layer's batch size; None if it names none."""
    with layer.located():
        for group in (one for name in DATA_MESSAGES for one in messages(layer.message, name)):
            if (size := single(group, "batch_size")) is not None:
                if not isinstance(size.value, int) or size.value < 1:
                    raise Misfit(f"batch_size must be a whole number from 1 (line {size.line})")
                return size.value
    return None


def build(found: dict[str, Feed], inputs: Sequence[Placed], wanted: str, crop_size: int) -> list[Placed]:
    """The Data, Input and Power layers that feed the network, each with its position in the text.

    `inputs` are the Input layers of the deployed network. Without any, its input is named `wanted`.
    """
    train, val = (found[phase] for phase in LABELLED)
    deployed = inputs[0][1].tops[0] if inputs else wanted
    reaches = ("train", "deploy") if deployed == train.tops[0] else ("train",)
    fed: list[tuple[Feed, tuple[str, ...]]]
    if train.tops == val.tops:
        is_implicit = not inputs and "deploy" in reaches
        name = train.name if train.name == val.name or not is_implicit else "data"
        fed = [(replace(train, name=name), PHASES if is_implicit else LABELLED)]
    else:
        fed = [(train, ("train",) if inputs else reaches), (val, ("val",))]
    layers = [*inputs, *((feed.place, _data(feed, phases, crop_size)) for feed, phases in fed)]
    layers += _scales(train, val, reaches)
    if not inputs and "deploy" not in reaches:
        name = unused("data", {layer.name for _, layer in layers})
        layers.append((-1, Layer(name, "Input", (), (deployed,), phases=("deploy",))))
    return layers


def unused(name: str, taken: Iterable[str]) -> str:
    """The name, with a number appended if it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}{number}"
    return free


def _feed(place: int, layer: Declared) -> Feed:
    """The feed of one Data layer."""
    with layer.located():
        settings = _settings(layer.message)
        scale, mirror, crop = settings.get("scale", 1.0), settings.get("mirror", False), settings.get("crop_size", 0)
        if not isinstance(scale, (int, float)):
            raise Misfit("scale must be a number")
        if isinstance(crop, bool) or not isinstance(crop, int) or crop < 0:
            raise Misfit("crop_size must be a whole number from 0")
        if str(mirror) not in ("true", "false", "True", "False", "0", "1"):
            raise Misfit("mirror must be true or false")
        tops = layer.tops or ("data", "label")
        if len(tops) > 2 or layer.bottoms:
            raise Misfit("gives images and labels: it has at most two outputs and no input")
        scales = (scale,) + (1.0,) * (len(tops) - 1)
        return Feed(layer.name, tops, scales, crop, str(mirror) in ("true", "True", "1"), place)


def _settings(message: Message) -> dict[str, object]:
    """The transformation of the images; older texts have these fields in the source's message."""
    settings: dict[str, object] = {}
    for name in (*DATA_MESSAGES, "transform_param"):
        for group in messages(message, name):
            for field in group.fields:
                if name == "transform_param" and field.name not in _TRANSFORMS:
                    raise Misfit(f"transform_param has an unknown field {field.name} (line {field.line})")
                if field.name in _TRANSFORMS:
                    settings[field.name] = field.value
    return settings


def _joined(given: list[Feed]) -> Feed:
    """Join a feed of images and a feed of labels, as DIGITS's generic networks have them."""
    if len(given) == 1:
        return given[0]
    images, labels = sorted(given, key=lambda feed: "label" in feed.tops)
    if len(images.tops) > 1 or len(labels.tops) > 1:
        raise BadNetwork(f"layers {images.name} and {labels.name}: two that read data must give one output each")
    return replace(images, tops=images.tops + labels.tops, scales=images.scales + labels.scales)


def _data(feed: Feed, phases: tuple[str, ...], crop_size: int) -> Layer:
    parameters = {"crop_size": crop_size} if crop_size else {}
    if feed.mirror:
        parameters["mirror"] = True
    return Layer(feed.name, "Data", (), feed.tops, parameters, phases=phases)


def _scales(train: Feed, val: Feed, reaches: tuple[str, ...]) -> list[Placed]:
    """A Power layer for each scaled top of a feed: for the images in the phases `reaches`, for the labels in training
    and validation."""
    wanted: dict[tuple[str, float], list[tuple[Feed, str]]] = {}
    for feed, own in ((train, reaches), (val, ("val",))):
        for place, (top, scale) in enumerate(zip(feed.tops, feed.scales, strict=True)):
            if scale != 1:
                phases = [phase for phase in own if place == 0 or phase in LABELLED]
                wanted.setdefault((top, scale), []).extend((feed, phase) for phase in phases)
    return [
        (
            uses[0][0].place,
            Layer(
                f"{uses[0][0].name}/{top}/scale",
                "Power",
                (top,),
                (top,),
                {"scale": scale},
                phases=tuple(phase for phase in PHASES if phase in {used for _, used in uses}),
            ),
        )
        for (top, scale), uses in wanted.items()
    ]
