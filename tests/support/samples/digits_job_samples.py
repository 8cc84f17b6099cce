"""What DIGITS's job folders hold: .caffemodel files, written byte by byte, and a status.pickle.

The functions for .caffemodel files write as much of the wire format of protocol buffers as those files use.
"""

import pickle
import sys
import types

import numpy as np


def varint(number: int) -> bytes:
    number &= (1 << 64) - 1
    low, rest = number & 0x7F, number >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def integer(field: int, value: int) -> bytes:
    return varint(field << 3) + varint(value)


def message(field: int, content: bytes) -> bytes:
    return varint(field << 3 | 2) + varint(len(content)) + content


def weights_blob(array: np.ndarray) -> bytes:
    """A BlobProto as Caffe writes it today: a shape and packed floats."""
    return message(7, message(1, b"".join(map(varint, array.shape)))) + message(5, array.astype("<f4").tobytes())


def old_blob(array: np.ndarray) -> bytes:
    """A BlobProto as Caffe wrote it before 2015: four sizes in place of a shape."""
    sizes = (1,) * (4 - array.ndim) + array.shape
    return b"".join(integer(1 + i, n) for i, n in enumerate(sizes)) + message(5, array.astype("<f4").tobytes())


def double_blob(array: np.ndarray) -> bytes:
    return message(7, message(1, b"".join(map(varint, array.shape)))) + message(8, array.astype("<f8").tobytes())


def unpacked_blob(array: np.ndarray) -> bytes:
    """A BlobProto whose numbers are not packed: each is a field of its own."""
    shape = message(7, b"".join(integer(1, size) for size in array.shape))
    return shape + b"".join(b"\x2d" + number.tobytes() for number in array.astype("<f4").ravel())


def layer_message(name: str, *blobs: bytes) -> bytes:
    """A LayerParameter."""
    return message(100, message(1, name.encode()) + message(2, b"Any") + b"".join(message(7, blob) for blob in blobs))


def old_layer_message(name: str, *blobs: bytes) -> bytes:
    """A V1LayerParameter, as Caffe wrote layers before 2015."""
    return message(2, b"".join(message(6, blob) for blob in blobs) + message(4, name.encode()) + integer(5, 4))


def write_digits_job(folder, dotted, protocol=0, tasks=(), **attributes):
    """The folder of a job of the class `dotted`. Each of `tasks` holds the attributes of one AnalyzeDbTask."""
    analyses = [_instance("digits.dataset.tasks.analyze_db.AnalyzeDbTask", **task) for task in tasks]
    folder.mkdir(parents=True)
    (folder / "status.pickle").write_bytes(pickle.dumps(_instance(dotted, **attributes, tasks=analyses), protocol))
    for name in [name for name in sys.modules if name == "digits" or name.startswith("digits.")]:
        del sys.modules[name]
    return folder


def _instance(dotted, **attributes):
    """An instance of a stand-in for this class of DIGITS, placed in sys.modules so that pickle can find it."""
    module, _, name = dotted.rpartition(".")
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        sys.modules.setdefault(".".join(parts[:end]), types.ModuleType(parts[end - 1]))
    if not hasattr(sys.modules[module], name):
        setattr(sys.modules[module], name, type(name, (), {"__module__": module}))
    instance = getattr(sys.modules[module], name)()
    vars(instance).update(attributes)
    return instance
