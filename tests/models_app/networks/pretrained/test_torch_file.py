"""Files of PyTorch: tensors are read, and nothing else is built, whatever the file holds."""

import struct

import numpy as np
import pytest

from models_app.networks.pretrained.stored_tensors import BadTensors
from models_app.networks.pretrained.tensor_pickle import MAX_BYTES
from models_app.networks.pretrained.torch_file import read_torch
from tests.support.samples.tensor_file_samples import (
    Call,
    Name,
    Stored,
    pickled,
    state_dict,
    write_old_torch,
    write_torch,
)

RNG = np.random.default_rng(0)
ARRAYS = {
    "conv.weight": RNG.normal(size=(2, 3, 3)).astype(np.float32),
    "conv.bias": RNG.normal(size=2).astype(np.float16),
    "fc.weight": np.asfortranarray(RNG.normal(size=(4, 5))),
    "norm.num_batches_tracked": np.array(7),
}
FORMATS = pytest.mark.parametrize("write", [write_torch, write_old_torch])


def read(path):
    with path.open("rb") as file:
        return {name: tensor.read() for name, tensor in read_torch(file).items()}


def why_refused(path) -> str:
    with pytest.raises(BadTensors) as refused:
        read(path)
    return str(refused.value)


@FORMATS
def test_tensors_of_any_type_and_order_are_read_as_float32(write, tmp_path):
    found = read(write(tmp_path / "weights.pth", ARRAYS))
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == np.float32
        np.testing.assert_array_equal(found[name], array.astype(np.float32))


@FORMATS
@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_the_weights_of_a_checkpoint_are_found_among_its_other_values(write, key, tmp_path):
    weights = {"a.weight": ARRAYS["conv.weight"]}
    around = {"epoch": 3, key: {f"module.{n}": t for n, t in state_dict(weights, write is write_old_torch).items()},
              "optimizer": {"state": {0: {"momentum": None}}, "rates": [1, (2, 3)]}}  # fmt: skip
    assert list(read(write(tmp_path / "checkpoint.pth", weights, around))) == ["a.weight"]


@FORMATS
@pytest.mark.parametrize(
    "name", ["posix system", "builtins eval", "argparse Namespace", "torch.nn.modules.linear Linear"]
)
def test_a_file_that_would_run_code_is_refused_by_the_name_of_what_it_calls(write, name, tmp_path):
    path = write(tmp_path / "weights.pth", {}, {"a": Call((Name(name), f"touch {tmp_path}/ran"))})
    assert f"it holds {name.replace(' ', '.')}, which is not a tensor: only tensors are read" in why_refused(path)
    assert "torch.save(model.state_dict(), path)" in why_refused(path)
    assert not (tmp_path / "ran").exists()


STORAGE = Stored(("storage", Name("torch FloatStorage"), "a", "cpu", 4))
REBUILD = Name("torch._utils _rebuild_tensor_v2")


@pytest.mark.parametrize(
    "value, message",
    [
        ([1, 2], "it holds no tensors with names"),
        ({"epoch": 3}, "it holds no tensors with names"),
        ({"a": Call((REBUILD, STORAGE, 0, (5,), (1,)))}, "it has a tensor that is larger than its storage"),
        ({"a": Call((REBUILD, STORAGE, 3, (2,), (1,)))}, "it has a tensor that is larger than its storage"),
        ({"a": Call((REBUILD, STORAGE, 0, (2, 2), (1,)))}, "whose shape and strides differ in length"),
        ({"a": Call((REBUILD, STORAGE, 0, (-1,), (1,)))}, "with a size that is not a whole number from 0"),
        ({"a": Call((REBUILD, STORAGE, 0, (2,), (-1,)))}, "with a size that is not a whole number from 0"),
        ({"a": Call((REBUILD, STORAGE, 0, (4, 1), (1, 1 << 61)))}, "with a size that is not a whole number from 0"),
        ({"a": Call((REBUILD, "storage", 0, (2,), (1,)))}, "a tensor of something that is not a storage"),
        ({"a": Call((REBUILD, Stored(("storage", "f4", "a", "cpu", 4)), 0, (2,), (1,)))}, "not a storage of numbers"),
        ({"a": Call((REBUILD, Stored(("module", 1)), 0, (2,), (1,)))}, "it is not a whole pickle"),
        ({"a": Call((REBUILD,))}, "it is not a whole pickle"),
        ({"a": Call(("text", 1))}, "it calls a value that is not a function"),
        ({"b": Call((REBUILD, Stored(("storage", Name("torch FloatStorage"), "b", "cpu", 4)), 0, (4,), (1,)))},
         "it has no storage 'b' of 4 numbers"),
        ({"a": Call((REBUILD, Stored(("storage", Name("torch DoubleStorage"), "a", "cpu", 4)), 0, (4,), (1,)))},
         "it has no storage 'a' of 4 numbers"),
        ({("a", "b"): 1}, "a dictionary has a key of type tuple"),
    ],
)  # fmt: skip
def test_a_file_whose_description_does_not_fit_its_tensors_is_refused(value, message, tmp_path):
    path = write_torch(tmp_path / "weights.pth", {"a": np.zeros(4, np.float32)}, value)
    assert message in why_refused(path)


@pytest.mark.parametrize(
    "instructions, message",
    [
        (b"\x80\x02(ttttt.", "it is not a whole pickle"),
        (b"\x80\x02X\xff\xff\xff\xffa.", "it describes more than a file of tensors can hold"),
        (b"\x80\x02Nr\xff\xff\xff\xff0.", "it has the instruction POP"),
        (b"\x80\x02i__main__\nTrap\n.", "it has the instruction INST"),
        (b"\x80\x02NNa.", "it adds to a value that is not a list"),
        (b"\x80\x02NNb.", "it sets attributes of a value that is not a dictionary"),
        (b"\x80\x02\xff.", "it is not a whole pickle"),
        (b"\x80\x02N", "it is"),
        (b"", "it is"),
    ],
)
def test_a_pickle_with_other_instructions_than_those_of_tensors_is_refused(instructions, message, tmp_path):
    (tmp_path / "weights.pth").write_bytes(instructions)
    assert message in why_refused(tmp_path / "weights.pth")


def test_a_description_is_read_up_to_a_limit(tmp_path):
    endless = b"\x80\x02" + b"N" * (MAX_BYTES + 1)
    (tmp_path / "weights.pth").write_bytes(endless)
    assert why_refused(tmp_path / "weights.pth") == "it describes more than a file of tensors can hold"


def test_many_groups_on_a_high_stack_take_no_longer_than_they_are_many(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"\x80\x02" + b"N" * 500_000 + b"(t" * 500_000 + b".")
    assert why_refused(tmp_path / "weights.pth") == "it is a pickle, but not one of PyTorch's"


def test_tuples_nested_a_hundred_thousand_deep_do_no_harm(tmp_path):
    deep = b"\x80\x02}(" + b")" + b"\x85" * 100_000 + b"Nu."
    (tmp_path / "weights.pth").write_bytes(deep)
    assert "a dictionary has a key of type tuple" in why_refused(tmp_path / "weights.pth")


def test_a_file_of_a_big_endian_processor_is_refused(tmp_path):
    values = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": False}, {}, []]
    (tmp_path / "weights.pth").write_bytes(b"".join(map(pickled, values)))
    assert "big-endian" in why_refused(tmp_path / "weights.pth")


def test_an_old_file_whose_storages_are_not_those_of_its_tensors_is_refused(tmp_path):
    path = write_old_torch(tmp_path / "weights.pth", {"a": np.zeros(4, np.float32)})
    path.write_bytes(path.read_bytes().replace(struct.pack("<q", 4), struct.pack("<q", 5)))
    assert "its storages are not those of its tensors" in why_refused(path)


NESTED = b")q\x00" + b"h\x00h\x00\x86q\x00" * 40  # a tuple of two equal tuples of two …: its hash takes 2**40 steps


@pytest.mark.parametrize("keys", [b"]](K\x01ea.", NESTED + b"]h\x00a."], ids=["a list", "nested tuples"])
def test_an_old_file_whose_storages_have_other_names_than_texts_is_refused(keys, tmp_path):
    values = [0x1950A86A20F9469CFC6C, 1001, {"little_endian": True}, {}]
    (tmp_path / "weights.pth").write_bytes(b"".join(map(pickled, values)) + b"\x80\x02" + keys)
    assert why_refused(tmp_path / "weights.pth") == "it does not list its storages"


def test_the_name_of_what_is_not_a_tensor_is_shown_up_to_a_limit(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"\x80\x02c" + b"m" * 1_000_000 + b"\nname\n.")
    assert len(why_refused(tmp_path / "weights.pth")) < 300


@FORMATS
def test_a_file_that_is_cut_short_anywhere_is_refused(write, tmp_path):
    whole = write(tmp_path / "weights.pth", {"a": np.arange(4, dtype=np.float32)}).read_bytes()
    for length in range(len(whole)):
        (tmp_path / "short.pth").write_bytes(whole[:length])
        why_refused(tmp_path / "short.pth")


def outcome_of(path) -> str:
    try:
        read(path)
    except BadTensors:
        return "refused"
    return "read"


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")  # by pickletools, of a changed text
@FORMATS
def test_a_file_with_a_changed_byte_is_read_or_refused(write, tmp_path):
    whole = write(tmp_path / "weights.pth", ARRAYS).read_bytes()
    rng = np.random.default_rng(1)
    outcomes = set()
    for place, value in zip(rng.integers(0, min(len(whole), 1500), 1500), rng.integers(0, 256, 1500), strict=True):
        (tmp_path / "changed.pth").write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
        outcomes.add(outcome_of(tmp_path / "changed.pth"))
    assert outcomes == {"read", "refused"}
