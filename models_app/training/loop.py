"""The training loop: the same for every engine, and for every server that listens."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from itertools import takewhile
from typing import Any

from models_app.training.config import TrainConfig
from models_app.training.data.batch_reader import batches_per_epoch, training_batches, validation_batches
from models_app.training.data.pixels import Images
from models_app.training.early_stopping import Diverged, EarlyStopping
from models_app.training.engines.interface import Engine
from models_app.training.measures import Scores
from models_app.training.schedule import learning_rate
from models_app.training.timetable import Timetable

METRICS_EVERY = 1 / 8  # of an epoch
PROGRESS_SECONDS = 1.0

Emit = Callable[[dict[str, Any]], None]
TakeSnapshot = Callable[[float, int, float], dict[str, Any]]


class Loop:
    """One training. Call run().

    `emit` gets the events; `check_abort` is called for every batch and may raise Aborted; `take_snapshot(epoch,
    iteration, rate)` writes one and returns what its event says. `early_stopping` gets the score of every validation.
    """

    def __init__(
        self,
        engine: Engine,
        config: TrainConfig,
        train: Images,
        val: Images | None,
        emit: Emit,
        check_abort: Callable[[], None],
        take_snapshot: TakeSnapshot,
        early_stopping: EarlyStopping,
    ) -> None:
        self._engine = engine
        self._config = config
        self._train = train
        self._val = val
        self._emit = emit
        self._check_abort = check_abort
        self._take_snapshot = take_snapshot
        self._early_stopping = early_stopping
        self._timetable = Timetable(
            config.epochs, batches_per_epoch(len(train), config.batch_size), config.batch_accumulation
        )
        self._best: tuple[float, float] | None = None  # the score in validation and the epoch of its snapshot
        self._rate = 0.0
        self._told = (time.monotonic(), 0)

    def run(self, start: int = 0) -> float | None:
        """Train from iteration `start` to the last, or until early stopping. Returns the epoch of the snapshot with the
        best score, None without validation."""
        policy, timetable, reached = self._config.policy(), self._timetable, start
        self._told = (time.monotonic(), start)
        batches = training_batches(self._train, self._config.batch_size, self._config.random_seed, start)
        with closing(batches):
            for before, after in takewhile(lambda _: not self._early_stopping.is_over, timetable.groups(start)):
                self._rate = learning_rate(policy, timetable.percent(before))
                for iteration in range(before, after):
                    self._tick(iteration)
                    batch = next(batches)
                    is_last = iteration + 1 == after
                    self._engine.train_batch(batch.images, batch.labels, self._rate if is_last else None)
                self._after(after)
                reached = after
        self._progress(reached)
        if reached < timetable.iterations:
            when = {"epoch": timetable.epoch(reached), "iteration": reached}
            self._emit({"event": "stopped_early", **when, "validations": self._early_stopping.wait})
        return self._best[1] if self._best else None

    def _after(self, iteration: int) -> None:
        """Whatever is due after this iteration; validation before the snapshot, which is judged by it."""
        timetable, config = self._timetable, self._config
        if timetable.due(iteration, METRICS_EVERY) is not None:
            self._metrics("train", timetable.epoch(iteration), iteration, self._engine.training_scores())
        score = None
        validated = timetable.due(iteration, config.val_interval) if self._val else None
        if validated is not None:
            score = self._validate(validated, iteration)
            self._early_stopping.update(score)
        epoch = timetable.due(iteration, config.snapshot_interval)
        if epoch is None and iteration == timetable.iterations:
            epoch = config.epochs
        if epoch is None and self._early_stopping.is_over:
            epoch = validated
        if epoch is not None:
            self._snapshot(epoch, iteration, score)

    def _metrics(self, split: str, epoch: float, iteration: int, scores: Scores) -> None:
        """Report scores; a loss that is no number ends the training."""
        if not math.isfinite(scores.loss):
            raise Diverged("the loss is not a number", epoch, self._rate)
        when = {"epoch": epoch, "iteration": iteration}
        self._emit({"event": "metrics", "split": split, **when, **asdict(scores), "learning_rate": self._rate})

    def _validate(self, epoch: float, iteration: int) -> float:
        """How good the weights are: their accuracy or, without one, the loss below zero."""
        with closing(validation_batches(self._val, self._config.batch_size)) as batches:
            for batch in batches:
                self._tick(iteration)
                self._engine.evaluate_batch(batch.images, batch.labels)
        scores = self._engine.evaluation_scores()
        self._metrics("val", epoch, iteration, scores)
        return -scores.loss if scores.accuracy is None else scores.accuracy

    def _snapshot(self, epoch: float, iteration: int, score: float | None) -> None:
        """Only a snapshot of weights that were validated can be the best; of equals the earliest."""
        self._tick(iteration)
        described = self._take_snapshot(epoch, iteration, self._rate)
        self._emit({"event": "snapshot", "epoch": epoch, "iteration": iteration, **described})
        if score is not None and (self._best is None or score > self._best[0]):
            self._best = (score, epoch)

    def _tick(self, iteration: int) -> None:
        """Notice an abort; tell the progress if the last time is a second ago."""
        self._check_abort()
        if time.monotonic() - self._told[0] >= PROGRESS_SECONDS:
            self._progress(iteration)

    def _progress(self, iteration: int) -> None:
        now, (then, before) = time.monotonic(), self._told
        speed = (iteration - before) * self._config.batch_size / max(now - then, 1e-9)
        self._told = (now, iteration)
        done = iteration / self._timetable.iterations
        self._emit(progress(done, self._timetable.epoch(iteration), speed, self._rate))


def progress(fraction: float, epoch: float, images_per_second: float, learning_rate: float) -> dict[str, Any]:
    """The event that says how far the training is."""
    return {
        "event": "progress",
        "fraction": round(fraction, 4),
        "epoch": epoch,
        "images_per_second": round(images_per_second, 1),
        "learning_rate": learning_rate,
    }
