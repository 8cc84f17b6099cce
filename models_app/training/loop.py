"""The training loop, the same for every engine. Everything else in a training is a callback (callbacks.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import takewhile

from models_app.training.augmentation.augmenter import Augmenter
from models_app.training.config import TrainConfig
from models_app.training.data.batch_reader import Batch, batches_per_epoch, training_batches
from models_app.training.data.pixels import Images
from models_app.training.engines.interface import Engine
from models_app.training.learning_rate import learning_rate
from models_app.training.measures import Scores
from models_app.training.ranks.rank import ALONE, Ranks
from models_app.training.snapshots.snapshot_writer import SnapshotContents
from models_app.training.timetable import Timetable


class Callback:
    """An action at certain points of a training.

    Override the hooks that are needed; the others do nothing. Every hook gets the loop. At each hook, the callbacks
    are called in their order. An exception ends the training.
    """

    def on_train_begin(self, loop: Loop) -> None:
        """Called before the first batch; `loop.iteration` is where the training starts or resumes."""

    def on_batch_begin(self, loop: Loop) -> None:
        """Called before each batch that is trained."""

    def on_step_end(self, loop: Loop) -> None:
        """Called after each step of the solver."""

    def on_validation_batch_begin(self, loop: Loop) -> None:
        """Called before each batch that is validated."""

    def on_validation_end(self, loop: Loop, epoch: float, scores: Scores) -> None:
        """Called after a validation, with the epoch that names it."""

    def on_snapshot_begin(self, loop: Loop) -> None:
        """Called before a snapshot is written."""

    def on_snapshot_end(self, loop: Loop, epoch: float, snapshot: SnapshotContents) -> None:
        """Called once a snapshot is on disk, with the epoch that names it. Later batches may be trained already."""

    def on_train_end(self, loop: Loop) -> None:
        """Called after the last step, or once a callback has stopped the training."""

    def on_exception(self, loop: Loop, error: BaseException) -> None:
        """Called instead of on_train_end when an exception ends the training."""


class Loop:
    """One training, or a phase of one: passes batches and learning rates to the engine, and calls the callbacks. Call
    run().

    phase: the iterations of this loop, all or a part. The policy of the learning rate goes over the phase.
    ranks: the rank of this process, which reads and trains its rows of each batch.
    iteration: the number of trained batches.
    learning_rate: that of the current step, or of the last one.
    plateaus: how many plateaus the validation has had; a callback sets it, and the policy `plateau` reads it.
    stop_training: a callback sets it to end the training after the current step.

    Example:
        Loop(engine, config, images, [AbortCheck(check_abort), Validation(val_images)]).run()
    """

    def __init__(
        self,
        engine: Engine,
        config: TrainConfig,
        images: Images,
        callbacks: Sequence[Callback] = (),
        augmenter: Augmenter | None = None,
        phase: range | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.engine = engine
        self.ranks = ranks
        self.config = config
        self.timetable = timetable_of(config, len(images))
        self.phase = phase or range(self.timetable.iterations)
        self.iteration = 0
        self.learning_rate = 0.0
        self.plateaus = 0
        self.stop_training = False
        self._images = images
        self._callbacks = tuple(callbacks)
        self._augmenter = augmenter

    @property
    def percent(self) -> float:
        """The percentage of the phase that is done, 0 to 100."""
        return 100 * (self.iteration - self.phase.start) / len(self.phase)

    def due(self, interval: float) -> float | None:
        """The epoch of an event that happens every `interval` epochs (0: never), if it is due after this step. All are
        due after the step with which a callback ends the training, as after the last one."""
        epoch = self.timetable.due(self.iteration, interval)
        return self.timetable.epoch(self.iteration) if epoch is None and interval and self.stop_training else epoch

    @property
    def is_last_phase(self) -> bool:
        return self.phase.stop == self.timetable.iterations

    def run(self, start: int = 0) -> None:
        """Train from iteration `start` to the last of the phase, or until a callback stops the training."""
        self.iteration = start
        try:
            self.call(Callback.on_train_begin)
            self._train(start)
        except BaseException as error:
            self.call(Callback.on_exception, error)
            raise
        finally:
            if self._augmenter:
                self._augmenter.close()
        self.call(Callback.on_train_end)

    def _train(self, start: int) -> None:
        config = self.config
        seed, rows = config.settled_seed, self.ranks.rows(config.batch_size)
        reading = training_batches(self._images, config.batch_size, seed, start, self._augmenter, rows)
        with closing(reading) as batches:
            groups = self.timetable.groups(start, self.phase.stop)
            for _, after in takewhile(lambda _: not self.stop_training, groups):
                self.learning_rate = learning_rate(config, self.percent, self.plateaus)
                self._step(batches, after)
                self.call(Callback.on_step_end)

    def _step(self, batches: Iterator[Batch], end: int) -> None:
        """One step of the solver: the batches up to iteration `end`; the last one is trained with the learning rate."""
        while self.iteration < end:
            self.call(Callback.on_batch_begin)
            batch = next(batches)
            is_last = self.iteration + 1 == end
            self.engine.train_batch(batch.images, batch.labels, self.learning_rate if is_last else None)
            self.iteration += 1

    def call(self, hook: Callable[..., None], *arguments: object) -> None:
        """Call a hook, such as Callback.on_step_end, of every callback."""
        for callback in self._callbacks:
            getattr(callback, hook.__name__)(self, *arguments)


def timetable_of(config: TrainConfig, images: int) -> Timetable:
    """The timetable of a training on so many images."""
    return Timetable(config.epochs, batches_per_epoch(images, config.batch_size), config.batch_accumulation)
