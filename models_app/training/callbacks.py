"""The callbacks of a training: abort checks, progress and events, validation, plateaus, early and requested stops."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from typing import Any

from models_app.training.data.batch_reader import validation_batches
from models_app.training.data.pixels import Images
from models_app.training.early_stopping import Diverged, EarlyStopping, score_of
from models_app.training.loop import Callback, Loop
from models_app.training.measures import Scores
from models_app.training.snapshots.snapshot_reader import FILES
from models_app.training.snapshots.snapshot_writer import SnapshotContents

METRICS_EVERY = 1 / 8  # of an epoch
PROGRESS_SECONDS = 1.0
STEPS_BETWEEN_RANKS = 16  # after which several ranks agree whether to stop, because that takes a message each time

Emit = Callable[[dict[str, Any]], None]


class AbortCheck(Callback):
    """Calls `check_abort`, which can raise Aborted, before every batch and every snapshot."""

    def __init__(self, check_abort: Callable[[], None]) -> None:
        self._check_abort = check_abort

    def on_batch_begin(self, loop: Loop) -> None:
        self._check_abort()

    def on_validation_batch_begin(self, loop: Loop) -> None:
        self._check_abort()

    def on_snapshot_begin(self, loop: Loop) -> None:
        self._check_abort()


class ProgressReporter(Callback):
    """Emits a `progress` event about once a second, which is also the heartbeat, and one at the end."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._last = (time.monotonic(), 0)  # time and iteration of the last event

    def on_train_begin(self, loop: Loop) -> None:
        self._last = (time.monotonic(), loop.iteration)

    def on_batch_begin(self, loop: Loop) -> None:
        if time.monotonic() - self._last[0] >= PROGRESS_SECONDS:
            self._report(loop)

    def on_validation_batch_begin(self, loop: Loop) -> None:
        self.on_batch_begin(loop)

    def on_snapshot_begin(self, loop: Loop) -> None:
        self.on_batch_begin(loop)

    def on_train_end(self, loop: Loop) -> None:
        self._report(loop)

    def _report(self, loop: Loop) -> None:
        now, (then, before) = time.monotonic(), self._last
        speed = (loop.iteration - before) * loop.config.batch_size / max(now - then, 1e-9)
        self._last = (now, loop.iteration)
        done = (loop.iteration - loop.phase.start) / len(loop.phase)
        self._emit(progress(done, loop.timetable.epoch(loop.iteration), speed, loop.learning_rate))


class EventReporter(Callback):
    """Emits the `metrics` and `snapshot` events. A loss that is not finite ends the training: raises Diverged."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def on_step_end(self, loop: Loop) -> None:
        if loop.due(METRICS_EVERY) is not None:
            self._report("train", loop, loop.timetable.epoch(loop.iteration), loop.engine.training_scores())

    def on_validation_end(self, loop: Loop, epoch: float, scores: Scores) -> None:
        self._report("val", loop, epoch, scores)

    def on_snapshot_end(self, loop: Loop, epoch: float, snapshot: SnapshotContents) -> None:
        directory = snapshot.directory.relative_to(loop.config.directory).as_posix()
        files = {name: file for name, file in FILES.items() if (snapshot.directory / file).exists()}
        written = {"directory": directory, "files": files, "max_difference": snapshot.max_difference}
        self._emit({"event": "snapshot", "epoch": epoch, "iteration": snapshot.iteration, **written})

    def _report(self, split: str, loop: Loop, epoch: float, scores: Scores) -> None:
        if not math.isfinite(scores.loss):
            raise Diverged("the loss is not a number", epoch, loop.learning_rate)
        when = {"epoch": epoch, "iteration": loop.iteration}
        measured = {**asdict(scores), "learning_rate": loop.learning_rate}
        self._emit({"event": "metrics", "split": split, **when, **measured})


class Validation(Callback):
    """Measures the network on `images` every `val_interval` epochs, and calls on_validation_end."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def on_step_end(self, loop: Loop) -> None:
        epoch = loop.due(loop.config.val_interval)
        if epoch is None:
            return
        batch_size = loop.config.batch_size
        with closing(validation_batches(self._images, batch_size, loop.ranks.rows(batch_size))) as batches:
            for batch in batches:
                loop.call(Callback.on_validation_batch_begin)
                loop.engine.evaluate_batch(batch.images, batch.labels)
        loop.call(Callback.on_validation_end, epoch, loop.engine.evaluation_scores())


class CountPlateaus(Callback):
    """Counts the plateaus of the validation, after which the policy `plateau` lowers the learning rate.

    It comes behind StopEarly, which gives `early_stopping` the score of each validation.
    """

    def __init__(self, early_stopping: EarlyStopping, before: int = 0) -> None:
        self._early_stopping = early_stopping
        self._before = before  # plateaus that the training had before it was resumed

    def on_train_begin(self, loop: Loop) -> None:
        loop.plateaus = self._before

    def on_validation_end(self, loop: Loop, epoch: float, scores: Scores) -> None:
        loop.plateaus += self._early_stopping.ends_plateau(loop.config.lr_plateau_patience)


class StopOnRequest(Callback):
    """Ends the training after the current step once `is_requested` says so. It comes first, so that measurements and
    the validation are due after that step.

    Several ranks stop after the same step: that of rank 0 counts, whether it sees the request. A training that has just
    resumed from a snapshot ends at once; any other has to write one first.
    """

    def __init__(self, is_requested: Callable[[], bool]) -> None:
        self._is_requested = is_requested
        self._steps = 0

    def on_train_begin(self, loop: Loop) -> None:
        if loop.iteration > loop.phase.start:
            self._stop_if_requested(loop)

    def on_step_end(self, loop: Loop) -> None:
        self._steps += 1
        if loop.ranks.count == 1 or self._steps % STEPS_BETWEEN_RANKS == 0:
            self._stop_if_requested(loop)

    def on_validation_end(self, loop: Loop, epoch: float, scores: Scores) -> None:
        self._stop_if_requested(loop)

    def _stop_if_requested(self, loop: Loop) -> None:
        loop.stop_training |= bool(loop.ranks.agree(int(self._is_requested())))


class StopEarly(Callback):
    """Stops the training when its early stopping decides so: after a validation or, if a training resumes from the
    snapshot at which it had stopped, at once. Only in the last phase. Emits the `stopped_early` event, also of a
    training that stops on request."""

    def __init__(self, early_stopping: EarlyStopping, emit: Emit) -> None:
        self._early_stopping = early_stopping
        self._emit = emit

    def on_train_begin(self, loop: Loop) -> None:
        self._stop_if_over(loop)

    def on_validation_end(self, loop: Loop, epoch: float, scores: Scores) -> None:
        self._early_stopping.update(score_of(scores))
        self._stop_if_over(loop)

    def _stop_if_over(self, loop: Loop) -> None:
        loop.stop_training |= self._early_stopping.is_over and loop.is_last_phase

    def on_train_end(self, loop: Loop) -> None:
        if loop.stop_training and loop.iteration < loop.timetable.iterations:
            when = {"epoch": loop.timetable.epoch(loop.iteration), "iteration": loop.iteration}
            self._emit({"event": "stopped_early", **when, "validations": self._early_stopping.wait})


def progress(fraction: float, epoch: float, images_per_second: float, learning_rate: float) -> dict[str, Any]:
    """The `progress` event; `fraction` is 0 to 1."""
    return {
        "event": "progress",
        "fraction": round(fraction, 4),
        "epoch": epoch,
        "images_per_second": round(images_per_second, 1),
        "learning_rate": learning_rate,
    }
