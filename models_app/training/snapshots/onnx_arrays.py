"""Reads the weights in a model.onnx, without the onnx package and without loading the whole file."""

from __future__ import annotations

import math
import mmap
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from digits_project.common.errors import BadInput
from digits_project.common.protobuf import BYTES, VARINT, BadMessage, Bytes, read_fields

# Where onnx.proto has them: ModelProto.graph, GraphProto.initializer, and the fields of a TensorProto.
GRAPH, INITIALIZER = 7, 5
DIMS, DATA_TYPE, NAME, RAW_DATA = 1, 2, 8, 9
KINDS = {DIMS: VARINT, DATA_TYPE: VARINT, NAME: BYTES, RAW_DATA: BYTES}
FLOAT = 1  # TensorProto.DataType
CONSTANT = re.compile(r"/constant(_\d+)?$")  # as networks.export names them: the mean, and numbers of operators


def onnx_weights(path: Path) -> dict[str, np.ndarray]:
    """The weights of a model that this server wrote, by name: float32 views of the mapped file, which can't be changed.

    Raises BadInput if the file is not an ONNX model, OSError if it can't be read.
    """
    try:
        with path.open("rb") as file:
            # Never closed by hand: the arrays are views of it.
            model = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return {name: array for name, array in _initializers(model) if not CONSTANT.search(name)}
    except (BadMessage, ValueError) as error:  # ValueError: an empty file can't be mapped
        raise BadInput(f"{path} is not a model.onnx: {error}") from error


def _initializers(model: Bytes) -> Iterator[tuple[str, np.ndarray]]:
    for graph in _messages(model, GRAPH):
        for tensor in _messages(graph, INITIALIZER):
            yield from _floats(tensor)


def _messages(data: Bytes, wanted: int) -> Iterator[Bytes]:
    """The fields of this number that are messages."""
    return (value for number, kind, value in read_fields(data) if (number, kind) == (wanted, BYTES))


def _floats(tensor: Bytes) -> Iterator[tuple[str, np.ndarray]]:
    """(name, array) of a tensor of floats; nothing for another type."""
    fields = [(number, value) for number, kind, value in read_fields(tensor) if kind == KINDS.get(number)]
    shape, last = [value for number, value in fields if number == DIMS], dict(fields)
    if last.get(DATA_TYPE) != FLOAT:
        return
    name, raw = bytes(last.get(NAME, b"")).decode(errors="replace"), last.get(RAW_DATA, b"")
    if len(raw) != 4 * math.prod(shape):
        raise BadMessage(f"{name[:60]!r} does not have as many numbers as its shape says")
    yield name, np.frombuffer(raw, "<f4").reshape(shape)
