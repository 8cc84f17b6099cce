"""Parses Caffe's messages: Datum (a labelled image or array) and BlobProto (an array, such as a mean image).

Field numbers are those of Caffe's caffe.proto. Caffe's colour order is blue, green, red; results are RGB.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from datasets.imagedb.images.decoding import decode, to_array
from datasets.imagedb.images.size_limits import MAX_PIXELS
from digits_project.common.protobuf import BYTES, VARINT, BadMessage, Bytes, numbers, read_fields, signed

MAX_AXES = 32  # of Caffe's arrays, and of NumPy's


@dataclass(frozen=True)
class Item:
    """An entry of a database: pixels (uint8, H×W×C, RGB), or values (float32, C×H×W), or neither, and its own label
    (float32, n)."""

    pixels: np.ndarray | None
    values: np.ndarray | None
    label: np.ndarray


def parse_datum(message: bytes) -> Item:
    """Parse a Datum. Raises BadMessage or BadImage, without the entry's name."""
    sizes, data, label, floats, encoded = [0, 0, 0], b"", 0, [], False
    for number, kind, value in read_fields(message):
        if number in (1, 2, 3) and kind == VARINT:  # channels, height, width
            sizes[number - 1] = signed(value)
        elif number == 4 and kind == BYTES:
            data = value
        elif number == 5 and kind == VARINT:
            label = signed(value)
        elif number == 6:
            floats.append(numbers(kind, value, "<f4"))
        elif number == 7 and kind == VARINT:
            encoded = bool(value)
    own_label = np.array([label], np.float32)
    if encoded:
        image = decode(data)
        return Item(to_array(image, 1 if image.mode == "L" else 3), None, own_label)
    if data:
        return Item(_pixels(_shaped(np.frombuffer(data, np.uint8), sizes)), None, own_label)
    if floats:
        return Item(None, _shaped(np.concatenate(floats), sizes).astype(np.float32), own_label)
    raise BadMessage("it holds neither data nor float_data")


def parse_blob(message: bytes) -> np.ndarray:
    """Parse a mean image: float32, C×H×W, RGB. Raises BadMessage."""
    array = read_blob(message)
    while array.ndim > 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3:
        raise BadMessage("it is not one array of channels×height×width")
    return _rgb(array).astype(np.float32)


def read_blob(message: Bytes) -> np.ndarray:
    """The array of a BlobProto, unchanged: float32 or float64. Raises BadMessage."""
    legacy, shape, floats = [1, 1, 1, 1], None, []
    for number, kind, value in read_fields(message):
        if number in (1, 2, 3, 4) and kind == VARINT:  # num, channels, height, width
            legacy[number - 1] = signed(value)
        elif number in (5, 8):  # data, double_data
            floats.append(numbers(kind, value, "<f4" if number == 5 else "<f8"))
        elif number == 7 and kind == BYTES:
            shape = _dimensions(value)
    if not floats:
        raise BadMessage("it holds no numbers")
    return _shaped(floats[0] if len(floats) == 1 else np.concatenate(floats), legacy if shape is None else shape)


def _dimensions(message):
    """The dims of a BlobShape, packed or not."""
    found = []
    for number, kind, value in read_fields(message):
        if number == 1 and kind == VARINT:
            found.append(signed(value))
        elif number == 1 and kind == BYTES:  # also an unpacked list, one field per dim
            found += [signed(dim) for _, _, dim in read_fields(b"".join(b"\x08" + one for one in _varints(value)))]
    return found


def _varints(data):
    start = 0
    for position, byte in enumerate(data):
        if byte < 0x80:
            yield data[start : position + 1]
            start = position + 1
    if start < len(data):
        raise BadMessage("a list of numbers is cut short")


def _shaped(array, shape):
    if len(shape) > MAX_AXES:
        raise BadMessage(f"it says that it has {len(shape)} axes")
    if min(shape, default=1) < 1 or max(shape, default=1) > MAX_PIXELS or np.prod(shape, dtype=object) != len(array):
        raise BadMessage(f"it says that it is {'×'.join(map(str, shape))}, but holds {len(array)} values")
    return array.reshape(shape)


def _pixels(array):
    """Transpose C×H×W to H×W×C."""
    return np.ascontiguousarray(_rgb(array).transpose(1, 2, 0))


def _rgb(array):
    """Reverse the channels of a three-channel image; a vector of three numbers does not change."""
    return array[::-1] if array.shape[0] == 3 and min(array.shape[1:]) > 1 else array
