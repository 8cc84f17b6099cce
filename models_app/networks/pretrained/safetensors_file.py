"""Reads a .safetensors file: a length of eight bytes, a JSON object that describes the tensors, then their values.

https://github.com/huggingface/safetensors#format
"""

from __future__ import annotations

import json
import math
from functools import partial
from typing import Any, BinaryIO

import numpy as np

from models_app.networks.pretrained.stored_tensors import (
    BFLOAT16,
    MAX_AXES,
    BadTensors,
    StoredTensor,
    StoredTensors,
    check_counts,
    file_size,
    item_bytes,
    read_values,
)

LENGTH_BYTES = 8
MAX_HEADER = 4 << 20  # bytes, as of a pickle; parsed, they can take 25 times the memory
METADATA = "__metadata__"
TYPES = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": BFLOAT16, "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "|i1",
    "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "|u1", "BOOL": "|b1",
}  # fmt: skip


def read_safetensors(file: BinaryIO) -> StoredTensors:
    """The tensors by name; those of a type that NumPy lacks, such as an 8-bit float, are left out. Raises
    BadTensors."""
    size = file_size(file)
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if not 0 < length <= min(MAX_HEADER, size - LENGTH_BYTES):
        raise BadTensors("it does not start with the length of its description, or is cut short")
    try:
        header = json.loads(file.read(length))
        described = {name: facts for name, facts in header.items() if name != METADATA}
        return {
            name: _stored(file, facts, LENGTH_BYTES + length, size)
            for name, facts in described.items()
            if facts["dtype"] in TYPES
        }
    except BadTensors:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadTensors(f"its description of the tensors can't be read ({type(error).__name__} {error})") from error


def _stored(file: BinaryIO, facts: dict[str, Any], first: int, size: int) -> StoredTensor:
    dtype, shape, (begin, end) = TYPES[facts["dtype"]], tuple(facts["shape"]), facts["data_offsets"]
    if len(shape) > MAX_AXES:
        raise BadTensors(f"it has a tensor with more than {MAX_AXES} axes")
    check_counts(*shape, begin, end)
    if end - begin != math.prod(shape) * item_bytes(dtype) or first + end > size:
        raise BadTensors("it has a tensor whose values don't have the size of its shape, or is cut short")
    return StoredTensor(shape, partial(_read, file, first + begin, shape, dtype))


def _read(file: BinaryIO, start: int, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    return read_values(file, start, math.prod(shape), dtype).reshape(shape)
