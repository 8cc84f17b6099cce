"""Saves an ONNX model without copying its weights, which can be two gigabytes.

A protocol buffers message is a sequence of fields; a field that holds a message or bytes is a head, then the content.
The weights are the last fields of the graph, so they are written to the file straight from their arrays.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from digits_project.common import protobuf


def save_model(model: onnx.ModelProto, weights: Mapping[str, np.ndarray], path: Path) -> None:
    """Write the model with these float32 arrays as further initializers of its graph. Clears `model.graph`."""
    graph = model.graph.SerializeToString()
    arrays = [np.ascontiguousarray(array, "<f4") for array in weights.values()]
    heads = [_initializer_head(name, array) for name, array in zip(weights, arrays, strict=True)]
    size = len(graph) + sum(map(len, heads)) + sum(array.nbytes for array in arrays)
    model.ClearField("graph")
    with path.open("wb") as file:
        file.write(model.SerializeToString() + _head(onnx.ModelProto, "graph", size) + graph)
        for head, array in zip(heads, arrays, strict=True):
            file.write(head)
            file.write(array.data)


def _initializer_head(name: str, array: np.ndarray) -> bytes:
    """The bytes before the values of an initializer."""
    tensor = onnx.TensorProto(name=name, dims=array.shape, data_type=onnx.TensorProto.FLOAT)
    described = tensor.SerializeToString() + _head(onnx.TensorProto, "raw_data", array.nbytes)
    return _head(onnx.GraphProto, "initializer", len(described) + array.nbytes) + described


def _head(message: Any, field: str, size: int) -> bytes:
    """The key of a field and the length of its value."""
    return protobuf.head(message.DESCRIPTOR.fields_by_name[field].number, size)
