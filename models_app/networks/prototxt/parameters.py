"""Converts a layer's parameters from Caffe's messages to the fields of its layer type."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from models_app.networks.layer import Multipliers
from models_app.networks.layers import LayerType, Misfit
from models_app.networks.prototxt.declared import messages, names
from models_app.networks.prototxt.schema import (
    ALIASES,
    ENUMS,
    FLAGS,
    HALF_OF,
    HALVES,
    HINTS,
    LAYER,
    LAYER_FIELDS,
    MESSAGES,
    NEUTRAL,
    PLACES,
)
from models_app.networks.prototxt.text import Field, Message

_TRUTH = {"true": True, "True": True, "t": True, "1": True, "false": False, "False": False, "f": False, "0": False}


def place(kind: str, parameter: str) -> str:
    """The name of the message that holds a type's parameter, or LAYER if it is a field of the layer itself."""
    return PLACES.get((kind, parameter), MESSAGES[kind])


def parameters_of(kind: type[LayerType], layer: Message) -> dict[str, Any]:
    """The layer's values for its type's fields. Raises Misfit, which names a field that the type does not have."""
    name, known = kind.__name__, {field.name: str(field.type) for field in fields(kind) if field.name != "parts"}
    found: dict[str, list[Field]] = {}
    for field in _own_fields(name, known, layer):
        field = field._replace(name=ALIASES.get((name, field.name), field.name))
        word, choices = FLAGS.get(field.name, ("", {}))
        truth = _TRUTH.get(str(field.value))
        if word in known:
            field = field._replace(name=word, value="unknown" if truth is None else choices.get(truth, "unknown"))
        if field.name in known or HALF_OF.get(field.name) in known:
            found.setdefault(field.name, []).append(field)
        elif field.name not in HINTS and not _without_effect(name, field):
            raise Misfit(f"{name} has no parameter {field.name} (line {field.line})")
    _join_halves(found)
    values = {field: _value(field, known[field], given) for field, given in found.items()}
    return {field: value for field, value in values.items() if value != []}


def _own_fields(kind: str, known: dict[str, Any], layer: Message) -> list[Field]:
    """The fields of the layer's parameter messages, and the parameters that are fields of the layer itself."""
    places = {MESSAGES[kind]} | {where for (owner, _), where in PLACES.items() if owner == kind and where != LAYER}
    own = []
    for field in layer.fields:
        if field.name in places:
            own += _group(field).fields
        elif field.name in known and place(kind, field.name) == LAYER:
            own.append(field)
        elif field.name not in LAYER_FIELDS and not (field.name == "loss_weight" and field.value == 0):
            own.append(field)  # the caller raises Misfit for it
    return own


def _without_effect(kind: str, field: Field) -> bool:
    return (kind, field.name) in NEUTRAL and field.value == NEUTRAL[kind, field.name]


def _join_halves(found: dict[str, list[Field]]) -> None:
    """Join pairs such as kernel_h and kernel_w into one field, here kernel_size."""
    for whole, (high, wide, default) in HALVES.items():
        halves = [found.pop(half, None) for half in (high, wide)]
        given = next((half[0] for half in halves if half), None)
        if given is None:
            continue
        if whole in found or (default is None and None in halves):
            raise Misfit(f"{whole} must be given, or both {high} and {wide} (line {given.line})")
        values: list[Any] = [_one(half) if half else default for half in halves]
        found[whole] = [Field(whole, value, given.line) for value in values]


def _value(name: str, annotation: str, given: list[Field]) -> Any:
    """The fields' values, converted to the type's annotation. A value that does not fit is returned unchanged, and
    `parse` raises Misfit for it."""
    kind = annotation.partition(" | ")[0]
    if kind == "list":
        return [number for field in given for number in _numbers(field)]
    if kind == "Extent":
        values = [_plain(field) for field in given]
        return values[0] if len(values) == 1 else values
    if kind == "dict":
        return {field.name: _scalar(field) for field in _distinct(_group(_only(given)))}
    value = _one(given)
    if kind == "bool":
        return _TRUTH.get(str(value), value)
    if kind == "str" and isinstance(value, int) and 0 <= value < len(ENUMS.get(name, ())):
        return ENUMS[name][value]
    return value


def _numbers(field: Field) -> list[Any]:
    """The field's value, or the numbers of a BlobShape."""
    if not isinstance(field.value, Message):
        return [_plain(field)]
    for dim in field.value.fields:
        if dim.name != "dim":
            raise Misfit(f"{field.name} has no field {dim.name} (line {dim.line})")
    return [_plain(dim) for dim in field.value.fields]


def _scalar(field: Field) -> Any:
    value = _plain(field)
    if isinstance(value, int) and 0 <= value < len(ENUMS.get(field.name, ())):
        return ENUMS[field.name][value]
    return value


def _distinct(message: Message) -> list[Field]:
    seen: set[str] = set()
    for field in message.fields:
        if field.name in seen:
            raise Misfit(f"{field.name} is given twice (line {field.line})")
        seen.add(field.name)
    return message.fields


def _one(given: list[Field]) -> Any:
    return _plain(_only(given))


def _only(given: list[Field]) -> Field:
    if len(given) > 1:
        raise Misfit(f"{given[0].name} is given twice (line {given[1].line})")
    return given[0]


def _plain(field: Field) -> Any:
    if isinstance(field.value, Message):
        raise Misfit(f"{field.name} is a single value, not a group (line {field.line})")
    return str(field.value) if isinstance(field.value, str) else field.value


def _group(field: Field) -> Message:
    if not isinstance(field.value, Message):
        raise Misfit(f"{field.name} must be a group {{ … }} (line {field.line})")
    return field.value


def multipliers_of(layer: Message) -> tuple[tuple[Multipliers, ...], list[str]]:
    """The multipliers that `param` (or the older blobs_lr, weight_decay) sets for the layer's weights, and the names
    under which it shares weights."""
    if layer.all("blobs_lr") or layer.all("weight_decay"):
        rates = [_factor(field) for field in layer.all("blobs_lr")]
        decays = [_factor(field) for field in layer.all("weight_decay")]
        count = max(len(rates), len(decays))
        rates, decays = (one + [1.0] * (count - len(one)) for one in (rates, decays))
        return tuple(map(Multipliers, rates, decays)), names(layer, "param")
    if any(isinstance(field.value, str) for field in layer.all("param")):
        return (), names(layer, "param")
    specs, given = [], []
    for param in messages(layer, "param"):
        settings = {field.name: field for field in _distinct(param)}
        given += names(param, "name")
        for name, field in settings.items():
            if name not in ("name", "share_mode", "lr_mult", "decay_mult"):
                raise Misfit(f"param has no field {name} (line {field.line})")
        specs.append(Multipliers(**{n: _factor(f) for n, f in settings.items() if n in ("lr_mult", "decay_mult")}))
    return tuple(specs), given


def _factor(field: Field) -> float:
    if not isinstance(field.value, (int, float)) or not 0 <= field.value < 1e30:
        raise Misfit(f"{field.name} must be a number from 0 (line {field.line})")
    return float(field.value)
