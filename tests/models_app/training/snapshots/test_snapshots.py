"""Snapshots: whole, true and loadable, or not there."""

import hashlib
import json

import numpy as np
import onnxruntime
import pytest

from digits_project.common.errors import BadInput
from models_app.training.early_stopping import Diverged
from models_app.training.snapshots.snapshot_reader import DESCRIPTION, FILES, TrainingState, read_snapshot
from models_app.training.snapshots.snapshot_writer import Model, write_snapshot
from tests.support.samples.engine_samples import engine_of, random_images
from tests.support.samples.network_samples import chain
from tests.support.samples.training_samples import softmax_network

pytestmark = pytest.mark.usefixtures("engine_name")

NETWORK = softmax_network()
MODEL = Model(NETWORK, tuple("0123456789"), {"network": "sample"})
SAMPLE = random_images(NETWORK, 3)


def moment(epoch=1.0):
    return TrainingState(epoch, iteration=7, batch_size=4, learning_rate=0.1, seed=5)


@pytest.fixture
def engine():
    """After one step, so that the solver has something to remember."""
    engine = engine_of(NETWORK, mean=np.full((1, 8, 8), 100, np.float32))
    engine.load_weights(NETWORK.initial_weights(1))
    train(engine)
    return engine


def train(engine):
    engine.train_batch(random_images(NETWORK, 4), np.arange(4, dtype=np.float32), 0.1)


def take(folder, engine, epoch=1.0):
    return write_snapshot(folder, engine, MODEL, moment(epoch), SAMPLE, threads=1)


def assert_same(first, second):
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)


def test_a_snapshot_gives_back_weights_solver_and_moment(engine, tmp_path):
    snapshot = take(tmp_path, engine, 0.25)
    assert snapshot.directory == tmp_path / "epoch-0.25"
    assert [p.name for p in tmp_path.iterdir()] == ["epoch-0.25"]
    weights, state, found = read_snapshot(snapshot.directory)
    assert found == moment(0.25)
    assert_same(weights, engine.weights())
    assert_same(state, engine.optimizer_state())
    assert np.abs(state["ip.weight.momentum"]).max() > 0


def test_a_snapshot_of_version_0_1_gives_back_how_far_early_stopping_was(engine, tmp_path):
    directory = take(tmp_path, engine).directory
    description = json.loads((directory / DESCRIPTION).read_text())
    old = {name: value for name, value in description.items() if name not in ("best_score", "wait")}
    (directory / DESCRIPTION).write_text(json.dumps(old | {"best_merit": 0.75, "stale": 2}))
    state = read_snapshot(directory)[2]
    assert (state.best_score, state.wait) == (0.75, 2)


def test_each_file_has_its_digest(engine, tmp_path):
    directory = take(tmp_path, engine).directory
    digests = json.loads((directory / "snapshot.json").read_text())["sha256"]
    assert digests == {name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in FILES.values()}


def test_the_model_of_every_snapshot_answers_as_the_engine_does_then(engine, tmp_path):
    for epoch in (1, 2):
        train(engine)
        snapshot = take(tmp_path, engine, epoch)
        session = onnxruntime.InferenceSession(snapshot.directory / "model.onnx", providers=["CPUExecutionProvider"])
        [got] = session.run(["softmax"], {"data": SAMPLE.astype(np.float32)})
        np.testing.assert_allclose(got, engine.forward(SAMPLE)["softmax"], atol=1e-6)
        assert snapshot.max_difference < 1e-6


def test_a_snapshot_of_the_same_epoch_is_replaced(engine, tmp_path):
    take(tmp_path, engine)
    train(engine)
    assert_same(read_snapshot(take(tmp_path, engine).directory)[0], engine.weights())
    assert [p.name for p in tmp_path.iterdir()] == ["epoch-1"]


def test_weights_that_are_no_numbers_leave_the_snapshot_before_as_it_was(engine, tmp_path):
    before = engine.weights()
    take(tmp_path, engine)
    engine.load_weights(before | {"ip.bias": np.full(10, np.nan, np.float32)})
    with pytest.raises(Diverged, match="at epoch 1: the training has diverged"):
        take(tmp_path, engine)
    assert [p.name for p in tmp_path.iterdir()] == ["epoch-1"]
    assert_same(read_snapshot(tmp_path / "epoch-1")[0], before)


@pytest.mark.parametrize("name", FILES.values())
def test_a_damaged_snapshot_is_refused(engine, tmp_path, name):
    path = take(tmp_path, engine).directory / name
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(BadInput, match=f"{name} is damaged"):
        read_snapshot(path.parent)


def test_what_is_no_snapshot_is_refused(tmp_path):
    with pytest.raises(BadInput, match="is not a whole snapshot"):
        read_snapshot(tmp_path)


def test_outputs_that_are_large_may_differ_by_as_much_more(tmp_path):
    network = chain(
        ("Power", {"scale": 100.0}),
        ("InnerProduct", {"num_output": 3, "weight_filler": {"type": "gaussian", "std": 1.0}}),
        input_shape=(1, 28, 28),
    )
    engine = engine_of(network)
    engine.load_weights(network.initial_weights(1))
    model = Model(network, (), {})
    snapshot = write_snapshot(tmp_path, engine, model, moment(), random_images(network, 4), threads=1)
    size = max(np.abs(output).max() for output in engine.forward(random_images(network, 4)).values())
    assert size > 1e5
    assert snapshot.max_difference < 1e-4
