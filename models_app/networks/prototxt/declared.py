"""Splits a network's text into its name, its inputs and its layers, as the text declares them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from models_app.networks.layer import PHASES, BadNetwork
from models_app.networks.layers import Misfit
from models_app.networks.prototxt.schema import ENUMS, NETWORK_HINTS, V1_TYPES
from models_app.networks.prototxt.text import Field, Message, Word, parse

MAX_LAYERS = 3000
MAX_NAME = 200

# Caffe's (phase, stage) for each of our phases, with DIGITS's stage names. The level is always 0.
STATES = {"train": ("TRAIN", "train"), "val": ("TEST", "val"), "deploy": ("TEST", "deploy")}

_TOP_FIELDS = {"debug_info", "force_backward", "input", "input_dim", "input_shape", "layer", "layers", "name", "state"}
_TOP_FIELDS |= NETWORK_HINTS


@dataclass(frozen=True)
class Declared:
    """A layer of the text. `phases` are those that its include and exclude rules allow."""

    name: str
    type: str
    bottoms: tuple[str, ...]
    tops: tuple[str, ...]
    phases: tuple[str, ...]
    message: Message

    @property
    def line(self) -> int:
        return self.message.line

    @contextmanager
    def located(self) -> Iterator[None]:
        """Turn a Misfit raised inside the block into a BadNetwork that names this layer."""
        try:
            yield
        except Misfit as misfit:
            raise BadNetwork(f"layer {self.name} {self.place}: {misfit}") from misfit

    @property
    def place(self) -> str:
        return f"(type {self.type}, line {self.line})"


@dataclass(frozen=True)
class Text:
    """A whole network as declared. `inputs` are the names of the old `input:` fields at the top of the text."""

    name: str
    inputs: tuple[str, ...]
    layers: tuple[Declared, ...]


def take_apart(text: str) -> Text:
    """Parse the text. Raises BadNetwork, which names the line and, if the fault is in a layer, the layer."""
    whole = parse(text)
    for one in whole.fields:
        if one.name not in _TOP_FIELDS:
            raise BadNetwork(f"line {one.line}: a network has no field {one.name}; its layers stand in layer {{ … }}")
    if whole.all("layer") and (old := whole.all("layers")):
        raise BadNetwork(f"line {old[0].line}: `layers` is the older word for `layer`; use one of the two throughout")
    entries = whole.all("layer") or whole.all("layers")
    if not entries:
        raise BadNetwork("the text declares no layer")
    if len(entries) > MAX_LAYERS:
        raise BadNetwork(f"line {entries[MAX_LAYERS].line}: a network may have at most {MAX_LAYERS:,} layers")
    try:
        name = text_of(whole, "name") or "network"
        return Text(name, tuple(names(whole, "input")), tuple(_declared(entry) for entry in entries))
    except Misfit as misfit:
        raise BadNetwork(str(misfit)) from misfit


def text_of(message: Message, name: str) -> str | None:
    """The string or word of a field that can occur once; None if it is missing."""
    one = single(message, name)
    if one is None:
        return None
    if not isinstance(one.value, str):
        raise Misfit(f"{name} must be a text (line {one.line})")
    return _named(one)


def names(message: Message, name: str) -> list[str]:
    """The strings of a repeated field."""
    for one in message.all(name):
        if not isinstance(one.value, str):
            raise Misfit(f"{name} must be a name (line {one.line})")
    return [_named(one) for one in message.all(name)]


def single(message: Message, name: str) -> Field | None:
    """The field, which can occur once; None if it is missing."""
    found = message.all(name)
    if len(found) > 1:
        raise Misfit(f"{name} is given twice (line {found[1].line})")
    return found[0] if found else None


def messages(message: Message, name: str) -> list[Message]:
    """The messages of a repeated field."""
    found = []
    for one in message.all(name):
        if not isinstance(one.value, Message):
            raise Misfit(f"{name} must be a group {{ … }} (line {one.line})")
        found.append(one.value)
    return found


def _named(one: Field) -> str:
    value = str(one.value)
    if not value.isprintable() or len(value) > MAX_NAME:
        raise Misfit(f"{one.name} must be at most {MAX_NAME} printable characters (line {one.line})")
    return value


def _declared(entry: Field) -> Declared:
    message = entry.value
    if not isinstance(message, Message):
        raise BadNetwork(f"line {entry.line}: a layer must be a group {{ … }}")
    message = Message(entry.line, message.fields)
    if message.all("layer"):
        raise BadNetwork(
            f"line {entry.line}: a layer inside `layers` is Caffe's format of 2013, which is not supported; upgrade "
            "it with Caffe's upgrade_net_proto_text"
        )
    try:
        kind = text_of(message, "type")
        name = text_of(message, "name") or ""
    except Misfit as misfit:
        raise BadNetwork(f"the layer of line {entry.line}: {misfit}") from misfit
    if not kind:
        raise BadNetwork(f"the layer of line {entry.line}{f', {name},' if name else ''} has no type")
    if entry.name == "layers":
        kind = V1_TYPES.get(kind, kind)
    layer = Declared(name, kind, (), (), (), message)
    with layer.located():
        tops = tuple(names(message, "top"))
        name = name or ("data" if "Data" in kind else tops[0] if tops else "")
        if not name:
            raise BadNetwork(f"the layer of line {entry.line} (type {kind}) has no name")
        return Declared(name, kind, tuple(names(message, "bottom")), tops, _phases(message), message)


def _phases(message: Message) -> tuple[str, ...]:
    """The phases that the rules allow: those that match an include rule or, without any, no exclude rule."""
    include, exclude = messages(message, "include"), messages(message, "exclude")
    if include and exclude:
        raise Misfit("it has include and exclude rules; only one of the two is possible")
    if include:
        return tuple(phase for phase in PHASES if any(_met(rule, *STATES[phase]) for rule in include))
    return tuple(phase for phase in PHASES if not any(_met(rule, *STATES[phase]) for rule in exclude))


def _met(rule: Message, phase: str, stage: str) -> bool:
    """Whether all conditions of a NetStateRule hold."""
    for name, value, line in rule.fields:
        if name in ("min_level", "max_level") and isinstance(value, int):
            met = value <= 0 if name == "min_level" else value >= 0
        elif name == "phase" and (value in ENUMS["phase"] or value in (0, 1)):
            met = phase == (value if isinstance(value, Word) else ENUMS["phase"][int(value)])
        elif name in ("stage", "not_stage") and isinstance(value, str):
            met = (value == stage) == (name == "stage")
        else:
            raise Misfit(f"a rule has no condition {name} of this value (line {line})")
        if not met:
            return False
    return True
