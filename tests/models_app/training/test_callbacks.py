"""The hooks of the training loop: the order of their calls, and what a callback can do."""

import numpy as np
import pytest

from models_app.training.callbacks import Snapshots, Validation
from models_app.training.data.crops import layout_of
from models_app.training.data.pixels import open_images
from models_app.training.early_stopping import EarlyStopping
from models_app.training.loop import Callback, Loop
from models_app.training.snapshots.snapshot_writer import Model
from tests.support.samples.engine_samples import engine_of
from tests.support.samples.training_samples import config_of, softmax_network, write_digits_dataset

pytestmark = pytest.mark.usefixtures("engine_name")

HOOKS = [name for name in vars(Callback) if name.startswith("on_")]
NETWORK = softmax_network()


class Recorder(Callback):
    """Records each hook that is called, with the iteration."""

    def __init__(self):
        self.calls = []

    def __getattribute__(self, name):
        if name in HOOKS:
            return lambda loop, *arguments: self.calls.append((name, loop.iteration))
        return super().__getattribute__(name)


class StopAt(Callback):
    """Stops the training after an iteration."""

    def __init__(self, iteration):
        self.iteration = iteration

    def on_step_end(self, loop):
        loop.stop_training = loop.iteration == self.iteration


class Fault(Exception):
    """A callback's own exception."""


class Raises(Callback):
    """Raises Fault after the first step."""

    def on_step_end(self, loop):
        raise Fault


@pytest.fixture
def make_loop(tmp_path):
    """A function that makes a loop of one epoch: four batches of ten images, then a validation of three batches.
    `fields` change its configuration."""
    dataset = write_digits_dataset(tmp_path)

    def make(*callbacks, **fields):
        config = config_of(dataset, tmp_path / "model", **{"epochs": 1, "use_mean": "none", **fields})
        layout = layout_of(NETWORK, NETWORK.input_shape, 10)
        train, val = (open_images(dataset / name, layout, 1, lambda: None) for name in ("train.rec", "val.rec"))
        sample = np.zeros((2, *NETWORK.input_shape), np.uint8)
        snapshots = Snapshots(Model(NETWORK, (), {}), sample, EarlyStopping())
        engine = engine_of(NETWORK, batch_size=config.batch_size, batch_accumulation=config.batch_accumulation)
        engine.load_weights(NETWORK.initial_weights(1))
        return Loop(engine, config, train, [*callbacks, Validation(val), snapshots])

    return make


def test_the_loop_calls_every_hook_in_order(make_loop):
    recorder = Recorder()
    make_loop(recorder, batch_accumulation=2).run()
    assert recorder.calls == [
        ("on_train_begin", 0), ("on_batch_begin", 0), ("on_batch_begin", 1), ("on_step_end", 2),
        ("on_batch_begin", 2), ("on_batch_begin", 3), ("on_step_end", 4),
        *[("on_validation_batch_begin", 4)] * 3, ("on_validation_end", 4),
        ("on_snapshot_begin", 4), ("on_snapshot_end", 4), ("on_train_end", 4),
    ]  # fmt: skip
    assert {name for name, _ in recorder.calls} == set(HOOKS)


def test_a_training_that_a_callback_stops_ends_with_a_snapshot(make_loop, tmp_path):
    recorder = Recorder()
    make_loop(StopAt(2), recorder, epochs=3).run()
    assert recorder.calls[-3:] == [("on_snapshot_begin", 2), ("on_snapshot_end", 2), ("on_train_end", 2)]
    assert [folder.name for folder in (tmp_path / "model/snapshots").iterdir()] == ["epoch-0.5"]


def test_an_exception_of_a_callback_ends_the_training(make_loop):
    recorder = Recorder()
    with pytest.raises(Fault):
        make_loop(recorder, Raises()).run()
    assert recorder.calls[-1] == ("on_step_end", 1)
