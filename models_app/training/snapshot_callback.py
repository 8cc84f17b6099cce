"""The callback that takes snapshots, and writes them while the training continues."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digits_project.common.errors import Aborted
from models_app.networks import parameter_count
from models_app.training.data.crops import centred
from models_app.training.early_stopping import EarlyStopping, score_of
from models_app.training.engines.interface import OPTIMIZER_SLOTS
from models_app.training.loop import Callback, Loop
from models_app.training.measures import Scores
from models_app.training.snapshots.snapshot_reader import TrainingState
from models_app.training.snapshots.snapshot_writer import (
    EngineCopy,
    EngineState,
    Model,
    SnapshotContents,
    write_snapshot,
)

logger = logging.getLogger("trainer")

# Above it, weights and optimizer state are not copied: the training waits until the snapshot is written.
MAX_COPIED_BYTES = 512 << 20
FLOAT_BYTES = 4
NICENESS = 10  # of the writing thread: the training goes first


@dataclass(frozen=True)
class Pending:
    """A snapshot that is being written. score: of the validation at the same step, None without one."""

    epoch: float
    score: float | None
    written: Future[SnapshotContents]


class Snapshots(Callback):
    """Takes a snapshot every `snapshot_interval` epochs and after the last step, and keeps track of the best.

    It comes behind Validation, since a snapshot is judged by the validation of the same step. Of snapshots with equal
    scores the earliest is the best; one without a validation can't be.

    A snapshot is written on another thread, one at a time. on_snapshot_end is called once it is on disk: between two
    later batches, or before the next snapshot. The training waits for the last snapshot, and for a large one. If the
    training fails, the snapshot that is being written is finished; if it is aborted, that snapshot is discarded.
    """

    def __init__(
        self,
        model: Model,
        sample: np.ndarray,
        early_stopping: EarlyStopping,
        best: tuple[float, float] | None = None,
    ) -> None:
        self._model = model
        self._sample = sample  # uint8 n×C×H×W: the images on which model.onnx is compared with the engine
        self._early_stopping = early_stopping
        self._validated: tuple[float, float] | None = None  # epoch and score of this step's validation
        self.best = best  # the same of the best snapshot, which can be one of an earlier phase
        self._writer = ThreadPoolExecutor(1, "snapshot", initializer=_yield_to_training)
        self._pending: Pending | None = None
        self._discarded = threading.Event()

    @property
    def best_epoch(self) -> float | None:
        """The epoch of the snapshot with the best score; None without validation."""
        return self.best[0] if self.best else None

    def on_validation_end(self, loop: Loop, epoch: float, scores: Scores) -> None:
        self._validated = (epoch, score_of(scores))

    def on_batch_begin(self, loop: Loop) -> None:
        if self._pending and self._pending.written.done():
            self._finish(loop)

    def on_validation_batch_begin(self, loop: Loop) -> None:
        self.on_batch_begin(loop)

    def on_step_end(self, loop: Loop) -> None:
        validated, self._validated = self._validated, None
        epoch = self._due(loop, validated[0] if validated else None)
        if epoch is None:
            return
        loop.call(Callback.on_snapshot_begin)
        self._finish(loop)
        score, threads = validated[1] if validated else None, loop.config.settled_threads
        state = self._state(loop, epoch)
        if self._is_last(loop) or self._is_large(loop):
            self._report(loop, epoch, score, self._write(loop, loop.engine, state, threads))
        else:
            copied = EngineCopy(loop.engine, centred(self._sample, self._model.network.input_shape))
            written = self._writer.submit(self._write, loop, copied, state, max(1, threads // 2))
            self._pending = Pending(epoch, score, written)

    def on_train_end(self, loop: Loop) -> None:
        self._finish(loop)
        self._writer.shutdown()

    def on_exception(self, loop: Loop, error: BaseException) -> None:
        if isinstance(error, Aborted):
            self._discarded.set()
            self._writer.shutdown()
            return
        try:
            self._finish(loop)
        except Exception:  # the training ends with its own error: that is the one to report
            logger.exception("the snapshot that was being written when the training failed is lost")

    def _finish(self, loop: Loop) -> None:
        """Wait for the snapshot that is being written, if there is one. Raises what its writing raised."""
        pending, self._pending = self._pending, None
        if pending:
            self._report(loop, pending.epoch, pending.score, pending.written.result())

    def _report(self, loop: Loop, epoch: float, score: float | None, snapshot: SnapshotContents) -> None:
        loop.call(Callback.on_snapshot_end, epoch, snapshot)
        if score is not None and (self.best is None or score > self.best[1]):
            self.best = (epoch, score)

    def _due(self, loop: Loop, validated: float | None) -> float | None:
        """The epoch that names the snapshot to take now; None if none is due. `validated`: that of the validation."""
        epoch = loop.timetable.due(loop.iteration, loop.config.snapshot_interval)
        if epoch is None and self._is_last(loop):
            return loop.timetable.epoch(loop.iteration) if validated is None else validated
        return epoch

    def _is_last(self, loop: Loop) -> bool:
        return loop.stop_training or loop.iteration == loop.timetable.iterations

    def _is_large(self, loop: Loop) -> bool:
        arrays = 1 + len(OPTIMIZER_SLOTS[loop.config.solver_type]) + bool(loop.config.ema)
        return parameter_count(self._model.network) * arrays * FLOAT_BYTES > MAX_COPIED_BYTES

    def _state(self, loop: Loop, epoch: float) -> TrainingState:
        config, early_stopping = loop.config, self._early_stopping
        return TrainingState(
            epoch,
            loop.iteration,
            batch_size=config.batch_size,
            batch_accumulation=config.batch_accumulation,
            learning_rate=loop.learning_rate,
            seed=config.settled_seed,
            best_score=early_stopping.best_score,
            wait=early_stopping.wait,
            plateaus=loop.plateaus,
        )

    def _write(self, loop: Loop, engine: EngineState, state: TrainingState, threads: int) -> SnapshotContents:
        folder = Path(loop.config.directory) / "snapshots"
        return write_snapshot(folder, engine, self._model, state, self._sample, threads, self._check_wanted)

    def _check_wanted(self) -> None:
        if self._discarded.is_set():
            raise Aborted("the training was aborted while this snapshot was written")


def _yield_to_training() -> None:
    """Give the calling thread, and those that it starts, a lower priority than the training's threads have."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
