"""The hooks of the training loop: the order of their calls, and what a callback can do."""

import threading

import numpy as np
import pytest

from digits_project.common.errors import Aborted
from models_app.training import snapshot_callback
from models_app.training.callbacks import Validation
from models_app.training.data.crops import layout_of
from models_app.training.data.pixels import open_images
from models_app.training.early_stopping import EarlyStopping
from models_app.training.loop import Callback, Loop
from models_app.training.snapshot_callback import Snapshots
from models_app.training.snapshots.snapshot_reader import read_snapshot
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
    """Raises an exception before the second batch."""

    def __init__(self, exception):
        self.exception = exception

    def on_batch_begin(self, loop):
        if loop.iteration == 1:
            raise self.exception


def hold_export(loop, released: threading.Event) -> None:
    """Make the engine's export wait until the event is set, so that a snapshot stays unfinished."""
    export = loop.engine.export

    def held_export(*arguments):
        assert released.wait(120)
        export(*arguments)

    loop.engine.export = held_export


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
    assert {name for name, _ in recorder.calls} == set(HOOKS) - {"on_exception"}


def test_a_training_that_a_callback_stops_ends_with_a_snapshot(make_loop, tmp_path):
    recorder = Recorder()
    make_loop(StopAt(2), recorder, epochs=3).run()
    assert recorder.calls[-3:] == [("on_snapshot_begin", 2), ("on_snapshot_end", 2), ("on_train_end", 2)]
    assert [folder.name for folder in (tmp_path / "model/snapshots").iterdir()] == ["epoch-0.5"]


def test_an_exception_of_a_callback_ends_the_training(make_loop):
    recorder = Recorder()
    with pytest.raises(Fault):
        make_loop(recorder, Raises(Fault())).run()
    assert recorder.calls[-1] == ("on_exception", 1)


class ReleaseAt(Callback):
    """Lets a held export run before the batch of an iteration."""

    def __init__(self, iteration):
        self.iteration = iteration
        self.released = threading.Event()

    def on_batch_begin(self, loop):
        if loop.iteration == self.iteration:
            self.released.set()


def test_the_training_continues_while_a_snapshot_is_written(make_loop):
    """The snapshot after step 2 can't be finished before step 3 has been trained."""
    recorder, release = Recorder(), ReleaseAt(3)
    loop = make_loop(recorder, release, snapshot_interval=0.5)
    hold_export(loop, release.released)
    loop.run()
    first, last = [iteration for name, iteration in recorder.calls if name == "on_snapshot_end"]
    assert (first >= 3, last) == (True, 4)


def test_a_snapshot_holds_the_state_at_its_step_though_the_training_continues(make_loop, tmp_path):
    """The export of the first is held until the second is due; the weights are those of a training of one step."""
    make_loop(epochs=0.25).run()
    expected = read_snapshot(tmp_path / "model/snapshots/epoch-0.25")
    make_loop(epochs=1, snapshot_interval=0.25).run()
    weights, optimizer, state = read_snapshot(tmp_path / "model/snapshots/epoch-0.25")
    assert state.iteration == expected[2].iteration == 1
    for found, wanted in ((weights, expected[0]), (optimizer, expected[1])):
        assert all((found[name] == array).all() for name, array in wanted.items())


def test_a_snapshot_that_is_being_written_when_the_training_fails_is_finished(make_loop, tmp_path):
    recorder = Recorder()
    loop = make_loop(recorder, Raises(Fault()), snapshot_interval=0.25)
    with pytest.raises(Fault):
        loop.run()
    assert recorder.calls[-2:] == [("on_exception", 1), ("on_snapshot_end", 1)]
    assert read_snapshot(tmp_path / "model/snapshots/epoch-0.25")[2].iteration == 1


def test_a_snapshot_that_is_being_written_when_the_training_is_aborted_is_discarded(make_loop, tmp_path):
    recorder = Recorder()
    loop = make_loop(recorder, Raises(Aborted("the user aborted it")), snapshot_interval=0.25)
    released = threading.Event()
    hold_export(loop, released)
    threading.Timer(0.5, released.set).start()
    with pytest.raises(Aborted, match="the user aborted it"):
        loop.run()
    assert list((tmp_path / "model/snapshots").iterdir()) == []
    assert "on_snapshot_end" not in dict(recorder.calls)


def test_an_error_while_a_snapshot_is_written_ends_the_training(make_loop, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model/snapshots").write_text("a file in the folder's place")
    with pytest.raises(NotADirectoryError):
        make_loop(snapshot_interval=0.25).run()


def test_the_training_waits_for_a_snapshot_that_is_too_large_to_copy(make_loop, monkeypatch):
    monkeypatch.setattr(snapshot_callback, "MAX_COPIED_BYTES", 0)
    recorder = Recorder()
    make_loop(recorder, snapshot_interval=0.25).run()
    ends = [call for call in recorder.calls if call[0] == "on_snapshot_end"]
    assert ends == [("on_snapshot_end", iteration) for iteration in (1, 2, 3, 4)]
