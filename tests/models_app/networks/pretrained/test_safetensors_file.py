"""Files of the format .safetensors."""

import struct
import time

import numpy as np
import pytest

from models_app.networks.pretrained.safetensors_file import MAX_HEADER, read_safetensors
from models_app.networks.pretrained.stored_tensors import BadTensors
from tests.support.samples.tensor_file_samples import write_safetensors

RNG = np.random.default_rng(0)
ARRAYS = {"a.weight": RNG.normal(size=(2, 3)).astype(np.float32), "a.bias": RNG.normal(size=2).astype(np.float32)}


def read(path):
    with path.open("rb") as file:
        return {name: tensor.read() for name, tensor in read_safetensors(file).items()}


def test_tensors_are_read_by_name_in_their_shape(tmp_path):
    found = read(write_safetensors(tmp_path / "w.safetensors", ARRAYS))
    assert list(found) == list(ARRAYS)
    assert all((found[name] == array).all() for name, array in ARRAYS.items())


@pytest.mark.parametrize(
    "dtype, values, expected",
    [
        ("F16", np.array([0.5, -2], "<f2"), [0.5, -2]),
        ("F64", np.array([0.5, -2], "<f8"), [0.5, -2]),
        ("BF16", np.array([0x3F00, 0xC000], "<u2"), [0.5, -2]),
        ("I64", np.array([3, -4], "<i8"), [3, -4]),
        ("BOOL", np.array([1, 0], "u1"), [1, 0]),
    ],
)
def test_numbers_of_other_types_are_read_as_float32(dtype, values, expected, tmp_path):
    header = b'{"x": {"dtype": "%s", "shape": [2], "data_offsets": [0, %d]}}' % (dtype.encode(), values.nbytes)
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + values.tobytes())
    [found] = read(tmp_path / "w.safetensors").values()
    assert (found.dtype, found.tolist()) == (np.float32, expected)


def test_a_tensor_of_a_type_that_numpy_lacks_is_left_out(tmp_path):
    eight_bits = {"dtype": "F8_E4M3", "shape": [1], "data_offsets": [0, 1]}
    assert list(read(write_safetensors(tmp_path / "w.safetensors", ARRAYS, odd=eight_bits))) == list(ARRAYS)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"dtype": "F32", "shape": [4], "data_offsets": [0, 12]}, "don't have the size of its shape"),
        ({"dtype": "F32", "shape": [100], "data_offsets": [0, 400]}, "don't have the size of its shape"),
        ({"dtype": "F32", "shape": [-3], "data_offsets": [0, -12]}, "a size that is not a whole number"),
        ({"dtype": "F32", "shape": ["3"], "data_offsets": [0, 12]}, "a size that is not a whole number"),
        ({"dtype": "F32", "shape": [1 << 60, 3], "data_offsets": [0, 12]}, "a size that is not a whole number"),
        ({"dtype": "F32", "shape": [1] * 80, "data_offsets": [0, 4]}, "more than 32 axes"),
        ({"dtype": "F32", "shape": [3]}, "can't be read"),
        ({"dtype": "F32", "shape": 3, "data_offsets": [0, 12]}, "can't be read"),
        ({"shape": [3], "data_offsets": [0, 12]}, "can't be read"),
        ("text", "can't be read"),
    ],
)
def test_a_description_that_does_not_fit_the_values_is_refused(changes, message, tmp_path):
    with pytest.raises(BadTensors, match=message):
        read(write_safetensors(tmp_path / "w.safetensors", ARRAYS, odd=changes))


@pytest.mark.parametrize(
    "content", [b"", b"\xff" * 8, b"\xff" * 100, struct.pack("<Q", 2) + b"[]", struct.pack("<Q", 2) + b"\xff\xff",
                struct.pack("<Q", 0)],
)  # fmt: skip
def test_a_file_of_another_format_is_refused(content, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(BadTensors):
        read(tmp_path / "w.safetensors")


def test_sizes_of_thousands_of_digits_are_refused_before_they_are_multiplied(tmp_path):
    sizes = {"dtype": "F32", "shape": [10**4000] * 900, "data_offsets": [0, 4]}
    path, start = write_safetensors(tmp_path / "w.safetensors", ARRAYS, odd=sizes), time.process_time()
    with pytest.raises(BadTensors, match="more than 32 axes"):
        read(path)
    assert time.process_time() - start < 5


def test_a_description_is_read_up_to_a_limit(tmp_path):
    header = b" " * MAX_HEADER + b"{}"
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(BadTensors, match="the length of its description"):
        read(tmp_path / "w.safetensors")


def test_a_description_nested_too_deep_is_refused(tmp_path):
    nested = b"[" * 100_000
    (tmp_path / "w.safetensors").write_bytes(struct.pack("<Q", len(nested)) + nested)
    with pytest.raises(BadTensors):
        read(tmp_path / "w.safetensors")


def test_a_file_that_is_cut_short_anywhere_is_refused(tmp_path):
    whole = write_safetensors(tmp_path / "w.safetensors", ARRAYS).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "short.safetensors").write_bytes(whole[:length])
        with pytest.raises(BadTensors):
            read(tmp_path / "short.safetensors")
