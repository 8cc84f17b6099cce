"""Image databases as Caffe's and MXNet's own tools write them.

Google's protobuf encodes the messages, so that they don't come from the code under test.
"""

import io
from functools import cache
from pathlib import Path

import lmdb
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from PIL import Image

from tests.support.samples.imagedb_samples import photo

FIELD = descriptor_pb2.FieldDescriptorProto
INT32, INT64, FLOAT, BYTES, BOOL, DOUBLE, MESSAGE = (
    FIELD.TYPE_INT32,
    FIELD.TYPE_INT64,
    FIELD.TYPE_FLOAT,
    FIELD.TYPE_BYTES,
    FIELD.TYPE_BOOL,
    FIELD.TYPE_DOUBLE,
    FIELD.TYPE_MESSAGE,
)
MESSAGES = {  # {message: [(field, number, type, repeated, packed)]}, as in caffe.proto
    "BlobShape": [("dim", 1, INT64, True, True)],
    "Datum": [
        ("channels", 1, INT32, False, False),
        ("height", 2, INT32, False, False),
        ("width", 3, INT32, False, False),
        ("data", 4, BYTES, False, False),
        ("label", 5, INT32, False, False),
        ("float_data", 6, FLOAT, True, False),
        ("encoded", 7, BOOL, False, False),
    ],
    "BlobProto": [
        ("num", 1, INT32, False, False),
        ("channels", 2, INT32, False, False),
        ("height", 3, INT32, False, False),
        ("width", 4, INT32, False, False),
        ("data", 5, FLOAT, True, True),
        ("shape", 7, MESSAGE, False, False),
        ("double_data", 8, DOUBLE, True, True),
    ],
}


@cache
def message_class(name):
    """The protobuf class of one of Caffe's messages."""
    file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
    for message, fields in MESSAGES.items():
        described = file.message_type.add(name=message)
        for field, number, type_, repeated, packed in fields:
            label = FIELD.LABEL_REPEATED if repeated else FIELD.LABEL_OPTIONAL
            added = described.field.add(name=field, number=number, type=type_, label=label)
            if type_ == MESSAGE:
                added.type_name = ".caffe.BlobShape"
            if packed:
                added.options.packed = True
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"caffe.{name}"))


def datum(array, label=0) -> bytes:
    """A Datum as caffe.io.array_to_datum makes it: C×H×W, channels BGR, uint8 as bytes, other types as floats."""
    channels, height, width = array.shape
    content = {"data": array.tobytes()} if array.dtype == np.uint8 else {"float_data": array.ravel()}
    message = message_class("Datum")(channels=channels, height=height, width=width, label=label, **content)
    return message.SerializeToString()


def encoded_datum(pixels, label=0, format="PNG") -> bytes:
    """A Datum that holds an image file; pixels are H×W or H×W×C, RGB."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format)
    return message_class("Datum")(data=file.getvalue(), encoded=True, label=label).SerializeToString()


def blob_proto(array, **fields) -> bytes:
    """A BlobProto of this array; `fields` give its shape."""
    return message_class("BlobProto")(data=array.ravel(), **fields).SerializeToString()


def write_lmdb(folder: Path, entries: list[bytes], key="{:08}") -> Path:
    with lmdb.open(str(folder), map_size=1 << 26) as environment, environment.begin(write=True) as transaction:
        for number, entry in enumerate(entries):
            transaction.put(key.format(number).encode(), entry)
    return folder


def photo_crops(count, size=12) -> np.ndarray:
    """Crops of a photo, uint8 N×size×size×3, RGB."""
    flower = photo("flower.jpg")
    return np.stack([flower[7 * i : 7 * i + size, 11 * i : 11 * i + size] for i in range(count)])


def caffe_order(pixels) -> np.ndarray:
    """Pixels H×W×3 in RGB as C×H×W in BGR."""
    return np.ascontiguousarray(pixels[:, :, ::-1].transpose(2, 0, 1))
