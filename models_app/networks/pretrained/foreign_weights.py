"""Weights from files of other programs, under the names of a network: PyTorch's and .safetensors."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import BinaryIO

import numpy as np

from digits_project.common.errors import BadInput
from models_app.networks.graph import Network
from models_app.networks.pretrained.safetensors_file import read_safetensors
from models_app.networks.pretrained.stored_tensors import BadTensors, StoredTensor, StoredTensors
from models_app.networks.pretrained.torch_file import read_torch
from models_app.networks.pretrained.torch_names import NAMINGS
from models_app.networks.resolve import FileWeights, Weight

# The files of tensors by their suffix. Those of Caffe and of this server are read elsewhere.
READERS: dict[str, Callable[[BinaryIO], StoredTensors]] = {
    ".safetensors": read_safetensors,
    ".pth": read_torch,
    ".pt": read_torch,
    ".bin": read_torch,
}
COUNTERS = "num_batches_tracked"  # a tensor of PyTorch's BatchNorm that computes nothing

UNREADABLE = "no weights can be read from this file"

Shape = tuple[int, ...]


def read_foreign(file: BinaryIO, suffix: str, network: Network) -> FileWeights:
    """The weights whose name and shape match the network's, by the names of the library that match most.

    Raises BadInput if the file holds anything but tensors, or is damaged.
    """
    try:
        stored = READERS[suffix](file)
        names = names_of(network, stored)
        theirs = {tensor: weight for weight, tensor in names.items()}
        layers: dict[str, list[Shape]] = {}
        for tensor, found in stored.items():
            if not tensor.endswith(COUNTERS):
                layers.setdefault(_layer_of(theirs.get(tensor, tensor)), []).append(found.shape)
        arrays = _arrays(network, names, stored)
        misfits = {name: stored[tensor].shape for name, tensor in names.items() if name not in arrays}
        return FileWeights(arrays, layers, misfits)
    except BadTensors as wrong:
        raise BadInput(f"{UNREADABLE}: {wrong}") from wrong


def check_foreign(file: BinaryIO, suffix: str) -> None:
    """Raise BadInput unless the file holds tensors and nothing else. Their values are not read."""
    try:
        READERS[suffix](file)
    except BadTensors as wrong:
        raise BadInput(f"{UNREADABLE}: {wrong}") from wrong


def foreign_shapes(file: BinaryIO, suffix: str) -> dict[str, Shape]:
    """The shapes of a file's tensors by name, without counters. Raises BadInput as read_foreign()."""
    try:
        return {name: one.shape for name, one in READERS[suffix](file).items() if not name.endswith(COUNTERS)}
    except BadTensors as wrong:
        raise BadInput(f"{UNREADABLE}: {wrong}") from wrong


def names_of(network: Network, stored: Mapping[str, StoredTensor]) -> dict[str, str]:
    """{weight of the network: tensor of the file}, by the library's naming with the most tensors that the file has; the
    network's own names are one too."""
    weights = {weight.name for weight in network.weights()}
    namings = [{name: name for name in weights}, *(naming.names() for naming in NAMINGS)]
    known = [{w: tensor for w, tensor in names.items() if w in weights and tensor in stored} for names in namings]
    return max(known, key=len)


def _arrays(network: Network, names: Mapping[str, str], stored: StoredTensors) -> dict[str, np.ndarray]:
    """The arrays that fit, and for each BatchNorm with averages of PyTorch the factor 1: they are not sums."""
    arrays: dict[str, np.ndarray] = {}
    for weight in network.weights():
        tensor = stored.get(names.get(weight.name, ""))
        if tensor is not None and _fits(weight, tensor.shape):
            arrays[weight.name] = tensor.read().reshape(weight.shape)
        elif tensor is not None and fits_without_colours(weight.shape, tensor.shape):
            arrays[weight.name] = without_colours(tensor.read())
    for weight in network.weights():
        if weight.spec.role == "factor" and weight.name not in names and f"{weight.layer}.variance" in arrays:
            arrays[weight.name] = np.ones(weight.shape, np.float32)
    return arrays


def _fits(weight: Weight, shape: Shape) -> bool:
    """Whether the numbers are the same, output by output; a 1×1 convolution, or one of a whole image, is an inner
    product."""
    return weight.shape == shape or (
        math.prod(weight.shape) == math.prod(shape) and len(shape) > 1 and weight.shape[:1] == shape[:1]
    )


def fits_without_colours(one: Shape, three: Shape) -> bool:
    """Whether filters of the second shape are of three colours, and those of the first the same of gray images."""
    return len(one) == len(three) == 4 and (one[1], three[1]) == (1, 3) and (one[0], *one[2:]) == (three[0], *three[2:])


def without_colours(filters: np.ndarray) -> np.ndarray:
    """The sum of filters over the colours: the same output as for an image whose colours are all equal."""
    return filters.sum(axis=1, keepdims=True)


def _layer_of(name: str) -> str:
    return name.rpartition(".")[0] or name
