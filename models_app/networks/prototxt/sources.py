"""Where a network's images and labels come from: the Data and Input layers of its text, and those it leaves out.

DIGITS's conventions: a Data layer gives what the dataset holds, whatever source it names; a network without one gets
one with the tops data and label; the deployed network takes images alone, under the name data or that which its layers
read. Means are the form's affair, not the text's.
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

# What a Data layer may say of its images; a mean of its own gives way to the form's.
_TRANSFORMS = {"crop_size", "force_color", "force_gray", "mean_file", "mean_value", "mirror", "scale"}

Placed = tuple[int, Layer]  # a layer and its place among the layers of the text


@dataclass(frozen=True)
class Feed:
    """A Data layer, or a pair of which the second gives the labels. `scales` multiply its tops, in order."""

    name: str
    tops: tuple[str, ...]
    scales: tuple[float, ...]
    crop_size: int
    mirror: bool
    place: int


def is_data(layer: Declared) -> bool:
    return layer.type in DATA_TYPES


def feeds(layers: Sequence[Declared]) -> dict[str, Feed]:
    """The feed of training and of validation, where the text has any; where it has but one, that is for both."""
    found: dict[str, Feed] = {}
    for phase in LABELLED:
        taking_part = [(i, one) for i, one in enumerate(layers) if is_data(one) and phase in one.phases]
        if len(taking_part) > 2:
            with taking_part[2][1].blamed():
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
    """How many images the Data layer says that a batch has."""
    with layer.blamed():
        for group in (one for name in DATA_MESSAGES for one in messages(layer.message, name)):
            if (size := single(group, "batch_size")) is not None:
                if not isinstance(size.value, int) or size.value < 1:
                    raise Misfit(f"batch_size must be a whole number from 1 (line {size.line})")
                return size.value
    return None


def build(found: dict[str, Feed], inputs: Sequence[Placed], wanted: str, crop_size: int) -> list[Placed]:
    """The layers that feed the network, each with its place in the text.

    `inputs` are the Input layers of the deployed network; where there is none, it takes its images as `wanted`.
    """
    train, val = (found[phase] for phase in LABELLED)
    deployed = inputs[0][1].tops[0] if inputs else wanted
    reaches = ("train", "deploy") if deployed == train.tops[0] else ("train",)
    if train.tops == val.tops:
        unsaid = not inputs and "deploy" in reaches
        name = train.name if train.name == val.name or not unsaid else "data"
        fed = [(replace(train, name=name), PHASES if unsaid else LABELLED)]
    else:
        fed = [(train, ("train",) if inputs else reaches), (val, ("val",))]
    layers = [*inputs, *((feed.place, _data(feed, phases, crop_size)) for feed, phases in fed)]
    layers += _scales(train, val, reaches)
    if not inputs and "deploy" not in reaches:
        name = unused("data", {layer.name for _, layer in layers})
        layers.append((-1, Layer(name, "Input", (), (deployed,), phases=("deploy",))))
    return layers


def unused(name: str, taken: Iterable[str]) -> str:
    """The name, or with a number behind it where it is taken."""
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}{number}"
    return free


def _feed(place: int, layer: Declared) -> Feed:
    """What one Data layer says."""
    with layer.blamed():
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
    """How the images are transformed; older texts say it among what they say of the source."""
    settings: dict[str, object] = {}
    for name in (*DATA_MESSAGES, "transform_param"):
        for group in messages(message, name):
            for field in group.fields:
                if name == "transform_param" and field.name not in _TRANSFORMS:
                    raise Misfit(f"transform_param has no field {field.name} that is known (line {field.line})")
                if field.name in _TRANSFORMS:
                    settings[field.name] = field.value
    return settings


def _joined(given: list[Feed]) -> Feed:
    """A feed of images and one of their labels as one, as DIGITS's generic networks have it."""
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
    """A Power over each top of a feed that is scaled: over the images wherever they come by, over labels in training
    and validation. `reaches`: the phases that training's images come by in."""
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
