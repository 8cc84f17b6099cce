"""Snapshots: read_snapshot loads what write_snapshot wrote; damaged or diverged weights raise an exception."""

import hashlib
import json
import struct
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from digits_project.common.errors import BadInput
from digits_project.common.protobuf import head
from models_app.networks import Layer
from models_app.training.early_stopping import Diverged
from models_app.training.snapshots.onnx_arrays import onnx_weights
from models_app.training.snapshots.snapshot_reader import (
    DESCRIPTION,
    TrainingState,
    can_resume,
    is_whole,
    load_array,
    load_arrays,
    read_snapshot,
)
from models_app.training.snapshots.snapshot_writer import EnginesDisagree, Model, write_snapshot
from tests.support.samples.engine_samples import engine_of, random_images
from tests.support.samples.network_samples import chain, network
from tests.support.samples.training_samples import softmax_network

pytestmark = pytest.mark.usefixtures("engine_name")

NETWORK = softmax_network()
MODEL = Model(NETWORK, tuple("0123456789"), {"network": "sample"})
SAMPLE = random_images(NETWORK, 3)


def state_at(epoch=1.0):
    return TrainingState(epoch, iteration=7, batch_size=4, learning_rate=0.1, seed=5)


@pytest.fixture
def engine():
    """An engine after one step, so that its optimizer has a state."""
    engine = engine_of(NETWORK, mean=np.full((1, 8, 8), 100, np.float32))
    engine.load_weights(NETWORK.initial_weights(1))
    train(engine)
    return engine


def train(engine):
    engine.train_batch(random_images(NETWORK, 4), np.arange(4, dtype=np.float32), 0.1)


def write(folder, engine, epoch=1.0):
    return write_snapshot(folder, engine, MODEL, state_at(epoch), SAMPLE, threads=1)


class Misled:
    """An engine that exports what another one computes."""

    def __init__(self, engine, other):
        self.weights, self.optimizer_state, self.forward = engine.weights, engine.optimizer_state, engine.forward
        self.export = other.export


def assert_same(first, second):
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)


def test_a_snapshot_restores_weights_optimizer_state_and_training_state(engine, tmp_path):
    snapshot = write(tmp_path, engine, 0.25)
    assert snapshot.directory == tmp_path / "epoch-0.25"
    assert [p.name for p in tmp_path.iterdir()] == ["epoch-0.25"]
    weights, state, found = read_snapshot(snapshot.directory)
    assert found == state_at(0.25)
    assert_same(weights, engine.weights())
    assert_same(state, engine.optimizer_state())
    assert np.abs(state["ip.weight.momentum"]).max() > 0


def test_a_snapshot_of_version_0_1_restores_the_state_of_early_stopping(engine, tmp_path):
    directory = write(tmp_path, engine).directory
    description = json.loads((directory / DESCRIPTION).read_text())
    old = {name: value for name, value in description.items() if name not in ("best_score", "wait")}
    (directory / DESCRIPTION).write_text(json.dumps(old | {"best_merit": 0.75, "stale": 2}))
    state = read_snapshot(directory)[2]
    assert (state.best_score, state.wait) == (0.75, 2)


def test_snapshot_json_holds_the_digest_of_each_file(engine, tmp_path):
    directory = write(tmp_path, engine).directory
    digests = json.loads((directory / "snapshot.json").read_text())["sha256"]
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in directory.iterdir()}
    assert digests == {name: digest for name, digest in files.items() if name != "snapshot.json"}
    assert digests.keys() == {"model.onnx", "optimizer.npz"}


def test_the_model_of_every_snapshot_computes_the_scores_of_the_engine_at_that_epoch(engine, tmp_path):
    for epoch in (1, 2):
        train(engine)
        snapshot = write(tmp_path, engine, epoch)
        session = onnxruntime.InferenceSession(snapshot.directory / "model.onnx", providers=["CPUExecutionProvider"])
        [got] = session.run(["softmax"], {"data": SAMPLE.astype(np.float32)})
        np.testing.assert_allclose(got, engine.forward(SAMPLE)["softmax"], atol=1e-6)
        assert snapshot.max_difference < 1e-6


def test_a_snapshot_of_the_same_epoch_is_replaced(engine, tmp_path):
    write(tmp_path, engine)
    train(engine)
    assert_same(read_snapshot(write(tmp_path, engine).directory)[0], engine.weights())
    assert [p.name for p in tmp_path.iterdir()] == ["epoch-1"]


def test_weights_that_are_not_numbers_raise_diverged_and_keep_the_earlier_snapshot(engine, tmp_path):
    before = engine.weights()
    write(tmp_path, engine)
    engine.load_weights(before | {"ip.bias": np.full(10, np.nan, np.float32)})
    with pytest.raises(Diverged, match="at epoch 1: the training has diverged"):
        write(tmp_path, engine)
    assert [p.name for p in tmp_path.iterdir()] == ["epoch-1"]
    assert_same(read_snapshot(tmp_path / "epoch-1")[0], before)


def test_weights_so_large_that_engines_round_to_other_answers_raise_diverged(engine_name, tmp_path):
    large = softmax_network(input_shape=(1, 128, 128))  # sums so long that no two libraries add in the same order
    engine = engine_of(large)
    weights = large.initial_weights(1)
    engine.load_weights(weights | {"ip.weight": weights["ip.weight"] + np.float32(1e5)})
    model = replace(MODEL, network=large)
    with pytest.raises(Diverged, match="rounding errors decide about the answers at epoch 1: the training"):
        write_snapshot(tmp_path, engine, model, state_at(), random_images(large, 4), threads=1)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_computes_something_else_is_a_fault_of_the_server(engine, tmp_path):
    other = engine_of(NETWORK, mean=np.full((1, 8, 8), 90, np.float32))
    other.load_weights(engine.weights())
    with pytest.raises(EnginesDisagree, match="differs from the engine"):
        write(tmp_path, Misled(engine, other))


@pytest.mark.parametrize("name", ["model.onnx", "optimizer.npz"])
def test_a_damaged_snapshot_is_refused(engine, tmp_path, name):
    path = write(tmp_path, engine).directory / name
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BadInput, match=f"{name} is damaged"):
        read_snapshot(path.parent)


XAVIER = {"weight_filler": {"type": "xavier"}}
TWO_HEADS = network(
    Layer("scale", "Power", ("data",), ("scaled",), {"scale": 0.01}),
    Layer("helper", "InnerProduct", ("scaled",), ("helper",), {"num_output": 10, **XAVIER}, phases=("train",)),
    Layer("ip", "InnerProduct", ("scaled",), ("ip",), {"num_output": 10, **XAVIER}),
    Layer("help", "SoftmaxWithLoss", ("helper", "label"), ("help",), phases=("train",)),
    Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=("train", "val")),
    Layer("softmax", "Softmax", ("ip",), ("softmax",), phases=("deploy",)),
    input_shape=(1, 8, 8),
)


def test_weights_npz_holds_only_the_weights_that_model_onnx_lacks(tmp_path):
    engine = engine_of(TWO_HEADS)
    engine.load_weights(TWO_HEADS.initial_weights(1))
    train(engine)
    model = Model(TWO_HEADS, tuple("0123456789"), {})
    directory = write_snapshot(tmp_path, engine, model, state_at(), random_images(TWO_HEADS, 3), threads=1).directory
    assert load_arrays(directory / "weights.npz").keys() == {"helper.weight", "helper.bias"}
    assert onnx_weights(directory / "model.onnx").keys() == {"ip.weight", "ip.bias"}
    assert_same(read_snapshot(directory)[0], engine.weights())


def test_a_snapshot_of_an_earlier_version_with_all_weights_apart_is_read(engine, tmp_path):
    directory = write(tmp_path, engine).directory
    others = {name: array + 1 for name, array in engine.weights().items()}  # so that it shows which file was read
    np.savez(directory / "weights.npz", **others)
    description = json.loads((directory / DESCRIPTION).read_text())
    description["sha256"]["weights.npz"] = hashlib.sha256((directory / "weights.npz").read_bytes()).hexdigest()
    (directory / DESCRIPTION).write_text(json.dumps(description))
    assert_same(read_snapshot(directory)[0], others)


def test_a_snapshot_without_its_optimizer_state_is_whole_but_no_training_resumes_from_it(engine, tmp_path):
    directory = write(tmp_path, engine).directory
    assert can_resume(directory)
    (directory / "optimizer.npz").unlink()
    assert is_whole(directory)
    assert not can_resume(directory)
    with pytest.raises(BadInput, match="is not a complete snapshot"):
        read_snapshot(directory)


def tensor_of(*fields):
    """The bytes of a model with one initializer of these fields."""
    content = b"".join(fields)
    graph = head(5, len(content)) + content
    return head(7, len(graph)) + graph


NAME_W, FLOATS, TWO, FOUR_BYTES = head(8, 1) + b"w", b"\x10\x01", b"\x08\x02", head(9, 4) + bytes(4)


@pytest.mark.parametrize(
    "content", [b"", b"\x00", b"text of any kind", tensor_of(NAME_W, FLOATS, TWO, FOUR_BYTES), tensor_of(b"\xff")]
)
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(BadInput, match=r"is not a model\.onnx"):
        onnx_weights(tmp_path / "model.onnx")


@pytest.mark.parametrize("content", [tensor_of(NAME_W, TWO, FOUR_BYTES), head(7, 0), b"\x38\x01"])
def test_a_model_without_floats_has_no_weights(tmp_path, content):
    (tmp_path / "model.onnx").write_bytes(content)
    assert onnx_weights(tmp_path / "model.onnx") == {}


def test_a_folder_that_is_no_snapshot_is_refused(tmp_path):
    with pytest.raises(BadInput, match="is not a complete snapshot"):
        read_snapshot(tmp_path)


def test_the_difference_of_large_outputs_is_measured_relative_to_their_size(tmp_path):
    network = chain(
        ("Power", {"scale": 100.0}),
        ("InnerProduct", {"num_output": 3, "weight_filler": {"type": "gaussian", "std": 1.0}}),
        input_shape=(1, 28, 28),
    )
    engine = engine_of(network)
    engine.load_weights(network.initial_weights(1))
    model = Model(network, (), {})
    snapshot = write_snapshot(tmp_path, engine, model, state_at(), random_images(network, 4), threads=1)
    size = max(np.abs(output).max() for output in engine.forward(random_images(network, 4)).values())
    assert size > 1e5
    assert snapshot.max_difference < 1e-4


HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (10000000000000,)}"
TEXTS = "{'descr': '<U1', 'fortran_order': False, 'shape': (1,)}"


@pytest.mark.parametrize("header", [HUGE, TEXTS, "(" * 9000, "-" * 9000 + "1"], ids=["huge", "texts", "(…", "-…"])
def test_an_array_that_is_no_array_of_numbers_is_refused_with_a_short_reason(tmp_path, header):
    start = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header))
    (tmp_path / "mean.npy").write_bytes(start + header.encode() + b"a\0\0\0")
    with pytest.raises(BadInput, match=r"^mean\.npy can't be used: .{1,200}$"):
        load_array(tmp_path / "mean.npy")
