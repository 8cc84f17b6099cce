"""Reads a file that torch.save wrote: the tensors by name, in either of PyTorch's formats.

Since PyTorch 1.6 it is a zip archive with data.pkl, which describes the tensors, and one member for each storage of
numbers. Before, it was five pickles, then the storages one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, BinaryIO
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

import numpy as np

from models_app.networks.pretrained.stored_tensors import (
    BadTensors,
    StoredTensor,
    StoredTensors,
    file_size,
    item_bytes,
    read_values,
)
from models_app.networks.pretrained.tensor_pickle import Storage, Tensor, unpickle

ZIP = b"PK\x03\x04"
BYTE_ORDER = b"little"
MAGIC_NUMBER, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # the first two pickles of the older format
COUNT_BYTES = 8  # before each storage of the older format

# Where a checkpoint has its weights, among epoch, optimizer state and the like.
WEIGHTS = ("state_dict", "model_state_dict", "model", "net", "state_dict_ema")
# What wrappers of a model put before all names.
WRAPPERS = ("module.", "_orig_mod.", "model.")

Locate = Callable[[Storage], int]  # the place of a storage in the file, in bytes


def read_torch(file: BinaryIO) -> StoredTensors:
    """The tensors of a state dict, or of a checkpoint that has one. Raises BadTensors."""
    file.seek(0)
    starts_as_zip = file.read(len(ZIP)) == ZIP
    value, locate = _read_archive(file) if starts_as_zip else _read_pickles(file)
    return {name: _stored(file, tensor, locate) for name, tensor in _named_tensors(value).items()}


def _read_archive(file: BinaryIO) -> tuple[Any, Locate]:
    try:
        archive = ZipFile(file)
        members = {member.filename: member for member in archive.infolist()}
        places = {name: _place(file, member) for name, member in members.items() if member.compress_type == ZIP_STORED}
    except (BadZipFile, ValueError, NotImplementedError, OSError) as error:
        raise BadTensors(f"it is not a whole archive ({error})") from error
    described = next((name for name in members if name.endswith("/data.pkl") or name == "data.pkl"), None)
    if described is None:
        raise BadTensors("it is an archive without data.pkl, so not one of PyTorch's")
    root = described.removesuffix("data.pkl")
    if described not in places:
        raise BadTensors("it is compressed, which PyTorch's files are not. Unpack it and save it again")
    if order := places.get(f"{root}byteorder"):
        file.seek(order)
        if file.read(len(BYTE_ORDER)) != BYTE_ORDER:
            raise BadTensors("it was written on a big-endian processor")
    file.seek(places[described])
    return unpickle(file), partial(_locate_member, members, places, f"{root}data/")


def _place(file: BinaryIO, member: ZipInfo) -> int:
    """Where the content of an uncompressed member starts: after its header, name and extra field."""
    file.seek(member.header_offset + 26)
    sizes = file.read(4)
    if len(sizes) != 4:
        raise BadTensors("it is cut short")
    return member.header_offset + 30 + int.from_bytes(sizes[:2], "little") + int.from_bytes(sizes[2:], "little")


def _locate_member(members: dict[str, ZipInfo], places: dict[str, int], folder: str, storage: Storage) -> int:
    name = folder + storage.key
    if name not in places or members[name].file_size < storage.count * item_bytes(storage.dtype):
        raise BadTensors(f"it has no storage {storage.key!r:.40} of {storage.count:,} numbers")
    return places[name]


def _read_pickles(file: BinaryIO) -> tuple[Any, Locate]:
    size = file_size(file)
    if unpickle(file) != MAGIC_NUMBER or unpickle(file) != PROTOCOL:
        raise BadTensors("it is a pickle, but not one of PyTorch's")
    system = unpickle(file)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise BadTensors("it was written on a big-endian processor")
    value, keys = unpickle(file), unpickle(file)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):  # a hash of others has no bound
        raise BadTensors("it does not list its storages")
    storages = {tensor.storage.key: tensor.storage for tensor in _tensors_in(value)}
    places: dict[str, int] = {}
    for key in keys:
        places[key], storage = file.tell() + COUNT_BYTES, storages.get(key)
        count = int.from_bytes(file.read(COUNT_BYTES), "little")
        end = places[key] + count * (item_bytes(storage.dtype) if storage else 0)
        if storage is None or count != storage.count or end > size:
            raise BadTensors("its storages are not those of its tensors, or it is cut short")
        file.seek(end)
    return value, partial(_locate_by_key, places)


def _locate_by_key(places: dict[str, int], storage: Storage) -> int:
    if storage.key not in places:
        raise BadTensors(f"it has no storage {storage.key!r:.40}")
    return places[storage.key]


def _tensors_in(value: Any) -> list[Tensor]:
    """All tensors in dictionaries, lists and tuples, however deep; each container is visited once."""
    found, seen, left = [], set(), [value]
    while left:
        one = left.pop()
        if isinstance(one, Tensor):
            found.append(one)
        elif isinstance(one, (dict, list, tuple)) and id(one) not in seen:
            seen.add(id(one))
            left += one.values() if isinstance(one, dict) else one
    return found


def _named_tensors(value: Any) -> dict[str, Tensor]:
    """The tensors of a state dict by name, without a prefix that all names share because a model was wrapped."""
    held = [value, *map(value.get, WEIGHTS)] if isinstance(value, dict) else []
    for candidate in (one for one in held if isinstance(one, dict)):
        named = {name: tensor for name, tensor in candidate.items() if isinstance(tensor, Tensor)}
        if named and all(isinstance(name, str) for name in named):
            return _unwrapped(named)
    raise BadTensors("it holds no tensors with names. Save model.state_dict()")


def _unwrapped(named: dict[str, Tensor]) -> dict[str, Tensor]:
    for wrapper in WRAPPERS:
        if all(name.startswith(wrapper) for name in named):
            return _unwrapped({name.removeprefix(wrapper): tensor for name, tensor in named.items()})
    return named


def _stored(file: BinaryIO, tensor: Tensor, locate: Locate) -> StoredTensor:
    return StoredTensor(tensor.shape, partial(_read, file, tensor, locate))


def _read(file: BinaryIO, tensor: Tensor, locate: Locate) -> np.ndarray:
    """The values of a tensor, in its shape. Its strides say in which order its storage has them."""
    span = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides, strict=True))
    if 0 in tensor.shape:
        span = 0
    if tensor.offset + span > tensor.storage.count:
        raise BadTensors("it has a tensor that is larger than its storage")
    dtype = tensor.storage.dtype
    values = read_values(file, locate(tensor.storage) + tensor.offset * item_bytes(dtype), span, dtype)
    strides = [stride * values.itemsize for stride in tensor.strides]
    return np.ascontiguousarray(np.lib.stride_tricks.as_strided(values, tensor.shape, strides))
