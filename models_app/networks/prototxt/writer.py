"""Writes a Network as prototxt: one text for training, validation and deployment, as DIGITS has it. `read` is the
inverse."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from models_app.networks.graph import Network
from models_app.networks.layer import PHASES, BadNetwork, Layer
from models_app.networks.prototxt.parameters import place
from models_app.networks.prototxt.schema import ENUMS, LAYER
from models_app.networks.timm.timm_network import TimmNetwork

_QUOTED = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def write(network: Network) -> str:
    """The text. It does not contain the shapes of images and labels, which come from the dataset. Raises BadNetwork for
    a network that is not made of Caffe's layers."""
    if isinstance(network, TimmNetwork):
        raise BadNetwork(f"{network.name} is a network of the timm library, which can't be written as Caffe prototxt")
    lines = [f"name: {_quoted(network.name)}"]
    for layer in network.layers:
        for rules in _rules(layer):
            lines += ["layer {", *(f"  {line}" for line in _layer(layer, rules, network.input_shape)), "}"]
    return "\n".join(lines) + "\n"


def _rules(layer: Layer) -> list[list[str]]:
    """The include rules of a layer: one list for each time that the layer is written.

    A Data layer is written once for training and once for validation, as DIGITS expects it. DIGITS implies the input of
    the deployed network.
    """
    phases = [phase for phase in PHASES if phase in layer.phases]
    if layer.type == "Data":
        return [_rule("include", [phase]) for phase in phases if phase != "deploy"]
    absent = [phase for phase in PHASES if phase not in phases]
    return [_rule("exclude", absent) if len(absent) < 2 else _rule("include", phases)]


def _rule(word: str, phases: list[str]) -> list[str]:
    return [f'{word} {{ stage: "{phase}" }}' for phase in phases]


def _layer(layer: Layer, rules: list[str], input_shape: tuple[int, ...]) -> Iterator[str]:
    yield f"name: {_quoted(layer.name)}"
    yield f"type: {_quoted(layer.type)}"
    yield from (f"bottom: {_quoted(bottom)}" for bottom in layer.bottoms)
    yield from (f"top: {_quoted(top)}" for top in layer.tops)
    yield from rules
    for one in layer.multipliers:
        yield f"param {{ lr_mult: {one.lr_mult!r} decay_mult: {one.decay_mult!r} }}"
    groups: dict[str, dict[str, Any]] = {}
    for name, value in layer.parameters.items():
        groups.setdefault(place(layer.type, name), {})[name] = value
    yield from _settings(groups.pop(LAYER, {}))
    for group, settings in groups.items():
        yield f"{group} {{"
        yield from (f"  {line}" for line in _settings(settings))
        yield "}"
    if layer.type == "Input":
        yield f"input_param {{ {next(_settings({'shape': (1, *input_shape)}))} }}"


def _settings(settings: Mapping[str, Any]) -> Iterator[str]:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield f"{name} {{ {' '.join(_settings(value))} }}"
        elif name == "shape":
            yield f"shape {{ {' '.join(f'dim: {size}' for size in value)} }}"
        else:
            values = value if isinstance(value, (list, tuple)) else [value]
            yield from (f"{name}: {_scalar(name, one)}" for one in values)


def _scalar(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if name in ENUMS else _quoted(value)
    return repr(value)


def _quoted(text: str) -> str:
    return f'"{text.translate(_QUOTED)}"'
