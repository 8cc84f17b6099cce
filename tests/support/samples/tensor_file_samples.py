"""Files of tensors as PyTorch and other libraries write them, made without those libraries."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import numpy as np

STORAGES = {"float32": "FloatStorage", "float64": "DoubleStorage", "float16": "HalfStorage", "int64": "LongStorage"}
MAGIC_NUMBER, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


class Name(str):
    """What a module's name stands for, "torch FloatStorage"."""


class Call(tuple):
    """(Name, arguments): a call of a function."""


class Stored(tuple):
    """A reference to a storage."""


def pickled(value: Any) -> bytes:
    """A pickle of protocol 2 of numbers, texts, lists, tuples, dictionaries, and the classes above."""
    return b"\x80\x02" + _instructions(value) + b"."


def _instructions(value: Any) -> bytes:
    if isinstance(value, Name):
        return b"c" + "\n".join((*value.split(" "), "")).encode()
    if isinstance(value, Call):
        return _instructions(value[0]) + _instructions(tuple(value[1:])) + b"R"
    if isinstance(value, Stored):
        return _instructions(tuple(value)) + b"Q"
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, dict):
        pairs = b"".join(_instructions(key) + _instructions(one) for key, one in value.items())
        return b"}(" + pairs + b"u"
    if isinstance(value, (list, tuple)):
        parts = b"(" + b"".join(map(_instructions, value))
        return parts + b"t" if isinstance(value, tuple) else b"]" + parts + b"e"
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    number = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
    return b"\x8a" + bytes([len(number)]) + number


def state_dict(arrays: Mapping[str, np.ndarray], legacy: bool = False) -> dict[str, Call]:
    """The arrays as PyTorch describes them; the storage of each has its name as key."""
    view = (None,) if legacy else ()
    return {
        name: Call(
            (
                Name("torch._utils _rebuild_tensor_v2"),
                Stored(("storage", Name(f"torch {STORAGES[array.dtype.name]}"), name, "cpu", array.size, *view)),
                0,
                array.shape,
                tuple(stride // array.itemsize for stride in array.strides),
                False,
                Call((Name("collections OrderedDict"),)),
            )
        )
        for name, array in arrays.items()
    }


def write_torch(path: Path, arrays: Mapping[str, np.ndarray], around: Any = None) -> Path:
    """A file as torch.save writes it today; `around` is what it holds instead of the arrays' state dict."""
    with ZipFile(path, "w", ZIP_STORED) as archive:
        archive.writestr("weights/data.pkl", pickled(state_dict(arrays) if around is None else around))
        archive.writestr("weights/byteorder", b"little")
        for name, array in arrays.items():
            archive.writestr(f"weights/data/{name}", array.tobytes("A"))
    return path


def write_old_torch(path: Path, arrays: Mapping[str, np.ndarray], around: Any = None) -> Path:
    """A file as torch.save wrote it before PyTorch 1.6."""
    system = {"protocol_version": PROTOCOL, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    described = state_dict(arrays, legacy=True) if around is None else around
    storages = b"".join(struct.pack("<q", array.size) + array.tobytes("A") for array in arrays.values())
    path.write_bytes(b"".join(map(pickled, (MAGIC_NUMBER, PROTOCOL, system, described, list(arrays)))) + storages)
    return path


def write_safetensors(path: Path, arrays: Mapping[str, np.ndarray], **changes: Any) -> Path:
    """A .safetensors file of float32 arrays; `changes` are entries of its description."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    content = b""
    for name, array in arrays.items():
        data = array.astype("<f4").tobytes()
        offsets = [len(content), len(content) + len(data)]
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": offsets}
        content += data
    text = json.dumps(header | changes).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content)
    return path
