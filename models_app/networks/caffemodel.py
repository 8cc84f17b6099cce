"""Reads the weights of a .caffemodel (Caffe's NetParameter as a protocol buffer) under the names of our networks.

Field numbers are those of Caffe's caffe.proto. Caffe's images have their colours in the order blue, green, red: OpenCV
reads them so, and DIGITS stores them so for Caffe. Ours are red, green, blue. So the weights that are applied to the
three colours of an image are reversed; see docs/decisions/0014-colours-of-caffe.md.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import dropwhile, islice
from pathlib import Path

import numpy as np

from datasets.imagedb.foreign.datum import read_blob
from digits_project.common.errors import BadInput
from digits_project.common.protobuf import BYTES, BadMessage, Bytes, read_fields
from models_app.networks.graph import Network, Node, Weight
from models_app.networks.layer import PHASES
from models_app.networks.layers import data_and_losses
from models_app.networks.layers.layer_type import axis_of
from models_app.networks.pretrained.foreign_weights import fits_without_colours, without_colours
from models_app.networks.resolve import FileWeights

MAX_BYTES = 1 << 31  # of a message of protocol buffers

# NetParameter's layers, of today and of old: the field, and in each the fields of name and blobs.
_LAYER, _V1_LAYER = 100, 2
_NAME_AND_BLOBS = {_LAYER: (1, 7), _V1_LAYER: (4, 6)}

# Layer types that keep the order of an image's colours.
_KEEPS_COLOURS = {
    "AbsVal", "Clip", "Crop", "Dropout", "ELU", "Eltwise", "Exp", "Flatten", "LRN", "Log", "Pooling", "Power", "ReLU",
    "Reshape", "Sigmoid", "Softmax", "Split", "TanH",
}  # fmt: skip
_BY_COLOUR = {"BatchNorm", "Bias", "PReLU", "Scale"}


def read_weights(path: Path, network: Network) -> dict[str, np.ndarray]:
    """The weights in a .caffemodel that fit the network, {name: array}. Raises BadInput as read_layers() does, and if
    none fits."""
    found = read_layers(path, network)
    if not found.arrays:
        layers = found.layers
        has = ", ".join(name[:40] for name in islice(layers, 10)) + ", …" * (len(layers) > 10) or "none with weights"
        raise BadInput(f"{path} has no layer with the name and shape of a layer of the network; its layers are: {has}")
    return found.arrays


def read_layers(path: Path, network: Network) -> FileWeights:
    """The weights of the layers whose name and shapes match the network's. Raises BadInput if the file is not a
    .caffemodel, or if a weight is not a finite number."""
    wanted = _by_layer(network)
    colours = _colour_axes(network)
    found: dict[str, np.ndarray] = {}
    layers: dict[str, list[tuple[int, ...]]] = {}
    try:
        for name, blobs in _layers(_mapped(path)):
            arrays = [read_blob(blob) for blob in blobs] if name in wanted else []
            layers[name] = [array.shape for array in arrays]
            found |= _fitting(wanted.get(name, ()), arrays)
    except BadMessage as error:
        raise BadInput(f"{path} can't be read as a .caffemodel: {error}") from error
    for name, array in found.items():
        if not np.isfinite(array).all():
            raise BadInput(f"{path} has values that are not numbers, as {name}")
    reordered = {
        name: _with_thirds_reversed(array, colours[name]) if name in colours else array for name, array in found.items()
    }
    return FileWeights(reordered, layers)


def _mapped(path: Path) -> memoryview:
    """The file, mapped into memory."""
    try:
        size = path.stat().st_size
        if not 0 < size < MAX_BYTES:
            raise BadInput(f"{path} has {size:,} bytes; a .caffemodel has 1 to {MAX_BYTES - 1:,}")
        return np.memmap(path, np.uint8, mode="r").data
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}") from error


def _layers(message: Bytes) -> Iterator[tuple[str, list[Bytes]]]:
    """Name and BlobProtos of every layer that has weights."""
    for number, kind, value in read_fields(message):
        if number in _NAME_AND_BLOBS and kind == BYTES:
            name_field, blob_field = _NAME_AND_BLOBS[number]
            name, blobs = "", []
            for inner, inner_kind, inner_value in read_fields(value):
                if inner_kind == BYTES and inner == name_field:
                    name = bytes(inner_value).decode(errors="replace")
                elif inner_kind == BYTES and inner == blob_field:
                    blobs.append(inner_value)
                elif inner_kind == BYTES and inner == 1 and number == _V1_LAYER:
                    raise BadMessage("it is in Caffe's format of 2013; upgrade it with upgrade_net_proto_binary")
            if blobs:
                yield name, blobs


def _by_layer(network: Network) -> dict[str, tuple[Weight, ...]]:
    return {node.layer.name: node.weights for phase in PHASES for node in network.nodes(phase) if node.weights}


def _fitting(weights: Sequence[Weight], arrays: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays by the layer's weight names if number and shapes match, else an empty dictionary."""
    if len(weights) != len(arrays):
        return {}
    arrays = [
        without_colours(array) if fits_without_colours(weight.shape, array.shape) else array
        for weight, array in zip(weights, arrays, strict=True)
    ]
    if any(_real(array.shape) != _real(weight.shape) for weight, array in zip(weights, arrays, strict=True)):
        return {}
    return {
        weight.name: array.reshape(weight.shape).astype(np.float32)
        for weight, array in zip(weights, arrays, strict=True)
    }


def _real(shape: Sequence[int]) -> list[int]:
    """The shape without the leading axes of size 1 that older files have."""
    return list(dropwhile(lambda size: size == 1, shape))


def _colour_axes(network: Network) -> dict[str, int]:
    """The weights that are applied to an image's three colours, and the axis of each that runs over the colours."""
    axes: dict[str, int] = {}
    if network.input_shape[0] != 3:
        return axes
    for phase in PHASES:
        coloured: set[str] = set()
        for node in network.nodes(phase):
            read = node.layer.bottoms[:1] if node.layer.type == "Crop" else node.layer.bottoms  # the second is a size
            coloured_inputs = [bottom in coloured for bottom in read]
            coloured.difference_update(node.layer.tops)
            if isinstance(node.kind, data_and_losses.DataSource):
                coloured.add(node.layer.tops[0])
            elif any(coloured_inputs):
                keeps = all(coloured_inputs) and _keeps_colours(node)
                axes |= _axes(node, keeps)
                coloured.update(node.layer.tops if keeps else ())
    return axes


def _axes(node: Node, keeps: bool) -> dict[str, int]:
    """{weight: axis over the colours} of one layer whose input has the colours in order; `keeps`: so does its
    output."""
    kind, layer = node.kind, node.layer
    if keeps:
        return {weight.name: 0 for weight in node.weights if layer.type in _BY_COLOUR and math.prod(weight.shape) > 1}
    if layer.type == "InnerProduct":
        return {node.weights[0].name: 0 if kind.transpose else 1}
    if layer.type in ("Convolution", "Deconvolution") and kind.group == 1:
        return {node.weights[0].name: 1 if layer.type == "Convolution" else 0}
    if isinstance(kind, data_and_losses.Criterion) or not layer.tops:
        return {}
    raise BadInput(
        f"layer {layer.name}: weights of Caffe can't be used here, because this layer works on single colours of "
        "the images, which Caffe has in the order BGR"
    )


def _keeps_colours(node: Node) -> bool:
    """Whether the first, second and last third of the layer's output channels still belong to the three colours."""
    if node.layer.type == "InnerProduct":
        return axis_of(node.kind.axis, node.inputs[0]) > 0
    thirds = all(shape and shape[0] % 3 == 0 for shape in node.outputs)
    return node.layer.type in _KEEPS_COLOURS | _BY_COLOUR and thirds


def _with_thirds_reversed(array: np.ndarray, axis: int) -> np.ndarray:
    """The array with the thirds of an axis in reverse order."""
    before, size, after = array.shape[:axis], array.shape[axis], array.shape[axis + 1 :]
    thirds = array.reshape(*before, 3, size // 3, *after)
    return np.ascontiguousarray(np.flip(thirds, axis)).reshape(array.shape)
