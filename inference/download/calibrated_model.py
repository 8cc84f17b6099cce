"""A copy of a model.onnx that gives calibrated scores, without the onnx package and without the whole file in memory.

Scores p become p^(1/T), scaled to a sum of 1, as inference.engine.temperature computes it: so it works for
every last layer.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np

from digits_project.common.protobuf import BYTES, BadMessage, Bytes, field, head, read_fields
from inference.engine.temperature import LEAST

# Where onnx.proto has them.
GRAPH, METADATA = 7, 14  # of a ModelProto
NODE, INITIALIZER, OUTPUT = 1, 5, 12  # of a GraphProto
NODE_INPUT, NODE_OUTPUT, NODE_NAME, NODE_TYPE, NODE_ATTRIBUTE = range(1, 6)
ATTRIBUTE_NAME, ATTRIBUTE_INTS, ATTRIBUTE_TYPE, INTS = 1, 8, 20, 7
TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_DATA = 1, 2, 8, 9
TYPES = {"<f4": 1, "<i8": 7}  # of a TensorProto
VALUE_NAME = 1  # of a ValueInfoProto
KEY, VALUE = 1, 2  # of an entry of the metadata

PROPERTY = "temperature"  # of the metadata


def calibrated_model(onnx_file: Path, temperature: float, categories: int, folder: Path) -> BinaryIO:
    """An open file without a name, in this folder: the model, whose last output has calibrated scores of its first
    `categories` values, and whose metadata name the temperature. Raises BadMessage if the file is no model, OSError."""
    made = TemporaryFile(dir=folder)  # noqa: SIM115 - the response closes it
    try:
        with onnx_file.open("rb") as file:
            # Never closed by hand: the fields are views of it.
            model = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        _write(made, model, temperature, categories)
    except BaseException:
        made.close()
        raise
    made.seek(0)
    return made


def _write(made: BinaryIO, model: memoryview, temperature: float, categories: int) -> None:
    graphs = [value for number, kind, value in read_fields(model) if (number, kind) == (GRAPH, BYTES)]
    parts = [one for graph in graphs for one in read_fields(graph)]
    names = [bytes(_last(value, VALUE_NAME)).decode() for number, _, value in parts if number == OUTPUT]
    if not names:
        raise BadMessage("it has no output")
    prefix = _free_prefix(parts)
    raw = f"{prefix}/scores"
    changed = [_renamed(value, names[-1], raw) if number == NODE else value for number, _, value in parts]
    added = _calibration(prefix, raw, names[-1], temperature, categories)
    content = [(number, value) for (number, _, _), value in zip(parts, changed, strict=True)] + added
    for number, _, value in read_fields(model):
        if number != GRAPH:
            made.write(field(number, value if isinstance(value, int) else bytes(value)))
    made.write(field(METADATA, field(KEY, PROPERTY.encode()) + field(VALUE, repr(temperature).encode())))
    sizes = sum(len(head(number, len(value))) + len(value) for number, value in content)
    made.write(head(GRAPH, sizes))
    for number, value in content:
        made.write(head(number, len(value)))
        made.write(value)


def _calibration(prefix: str, raw: str, name: str, temperature: float, categories: int) -> list[tuple[int, bytes]]:
    """The fields of a graph that compute the value `name` from `raw`, N×scores:

    logs = log(max(raw, least)) / T;  name = exp(logs - log(sum(exp(logs of the categories))))
    """
    constants = {
        "least": np.array(LEAST, "<f4"),
        "inverse": np.array(1 / temperature, "<f4"),
        "first": np.array([0], "<i8"),
        "last": np.array([categories], "<i8"),
        "axis": np.array([1], "<i8"),
    }
    names = {one: f"{prefix}/{one}" for one in (*constants, "bounded", "logs", "scaled", "known", "total", "shifted")}
    nodes = [
        _node("Max", [raw, names["least"]], names["bounded"]),
        _node("Log", [names["bounded"]], names["logs"]),
        _node("Mul", [names["logs"], names["inverse"]], names["scaled"]),
        _node("Slice", [names[one] for one in ("scaled", "first", "last", "axis")], names["known"]),
        _node("ReduceLogSumExp", [names["known"]], names["total"], axes=[1]),  # which keeps the axis
        _node("Sub", [names["scaled"], names["total"]], names["shifted"]),
        _node("Exp", [names["shifted"]], name),
    ]
    tensors = [_tensor(names[one], array) for one, array in constants.items()]
    return [(NODE, node) for node in nodes] + [(INITIALIZER, tensor) for tensor in tensors]


def _node(operator: str, inputs: Sequence[str], output: str, **attributes: Sequence[int]) -> bytes:
    described = b"".join(
        field(
            NODE_ATTRIBUTE,
            field(ATTRIBUTE_NAME, name.encode())
            + b"".join(field(ATTRIBUTE_INTS, value) for value in values)
            + field(ATTRIBUTE_TYPE, INTS),
        )
        for name, values in attributes.items()
    )
    wired = b"".join(field(NODE_INPUT, name.encode()) for name in inputs) + field(NODE_OUTPUT, output.encode())
    return wired + field(NODE_NAME, f"{output}/calibration".encode()) + field(NODE_TYPE, operator.encode()) + described


def _tensor(name: str, array: np.ndarray) -> bytes:
    shape = b"".join(field(TENSOR_DIMS, size) for size in array.shape)
    kind = field(TENSOR_TYPE, TYPES[array.dtype.str])
    return shape + kind + field(TENSOR_NAME, name.encode()) + field(TENSOR_DATA, array.tobytes())


def _renamed(node: Bytes, name: str, other: str) -> Bytes:
    """A node whose value `name`, if it computes or takes it, is called `other`."""
    fields = list(read_fields(node))
    if not any(number in (NODE_INPUT, NODE_OUTPUT) and bytes(value) == name.encode() for number, _, value in fields):
        return node
    return b"".join(
        field(number, other.encode())
        if number in (NODE_INPUT, NODE_OUTPUT) and bytes(value) == name.encode()
        else field(number, value if isinstance(value, int) else bytes(value))
        for number, _, value in fields
    )


def _free_prefix(parts: Sequence[tuple[int, int, Bytes]]) -> str:
    """The beginning of names that the graph does not use."""
    taken = set(_names(parts))
    prefix = "calibrated"
    while any(name.startswith(f"{prefix}/") for name in taken):
        prefix += "_"
    return prefix


def _names(parts: Sequence[tuple[int, int, Bytes]]) -> Iterator[str]:
    for number, _, value in parts:
        if number == NODE:
            yield from (bytes(name).decode() for of, _, name in read_fields(value) if of in (NODE_OUTPUT, NODE_NAME))


def _last(message: Bytes, wanted: int) -> Bytes:
    return [value for number, _, value in read_fields(message) if number == wanted][-1]
