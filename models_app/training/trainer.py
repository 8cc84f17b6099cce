"""Runs a training from its configuration: opens the data and the engine, and runs the loop with its callbacks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from digits_project.common.errors import BadInput
from models_app.networks import Network, parameter_count
from models_app.training.augmentation.augmenter import open_augmenter
from models_app.training.callbacks import (
    PROGRESS_SECONDS,
    AbortCheck,
    CountPlateaus,
    Emit,
    EventReporter,
    ProgressReporter,
    StopEarly,
    StopOnRequest,
    Validation,
    progress,
)
from models_app.training.config import TrainConfig
from models_app.training.data.crops import InputLayout, layout_of
from models_app.training.data.mean_pixels import normalization
from models_app.training.data.pixels import Images, open_images
from models_app.training.data.prepared import Prepared, sample_of
from models_app.training.early_stopping import EarlyStopping, StopRequest
from models_app.training.engines import Engine, EngineConfig, choose_installed, described, open_engine
from models_app.training.features.head_training import open_views, prepare_head_training
from models_app.training.features.plan import planned_parts
from models_app.training.loop import Callback, Loop
from models_app.training.phases.phase import end_of, phases_of
from models_app.training.phases.start import Start, after_head, early_stopping_of, load, start_of
from models_app.training.ranks.rank import ALONE, Ranks
from models_app.training.snapshot_callback import Snapshots
from models_app.training.snapshots.snapshot_writer import Model

logger = logging.getLogger("trainer")

Arrays = dict[str, np.ndarray]


@dataclass
class _Course:
    """What the phases of a training share, and what one phase hands over to the next.

    judge: the early stopping, with the best score so far. best: the epoch and the score of the best snapshot.
    ranks: the rank of this process; only the first emits events and writes snapshots. stop: the user's request to end
    the training early; has_stopped: whether a phase has ended before its last step.
    """

    labels: tuple[str, ...]
    layout: InputLayout
    emit: Emit
    check_abort: Callable[[], None]
    judge: EarlyStopping
    plateaus: int
    ranks: Ranks
    stop: StopRequest
    iterations: int = 0  # of all phases together; 0: there is one phase only
    best: tuple[float, float] | None = None
    has_started: bool = False
    has_stopped: bool = False

    def run(self, config: TrainConfig, start: Start, phase: range | None) -> Engine:
        """Train one phase; None: the whole training. Returns its engine."""
        network, emit = config.trained_network(), self._emit_of(phase)
        prepared, emit = _prepared(config, network, self.layout, start, emit, self.check_abort, self.ranks)
        load(prepared.engine, start)
        if not self.has_started:
            emit(_started(config, network, start, prepared, self.ranks))
            self.has_started = True
        loop, snapshots = self._loop(config, network, prepared, emit, phase)
        loop.run(max(start.iteration, loop.phase.start))
        self.best, self.plateaus, self.has_stopped = snapshots.best, loop.plateaus, loop.stop_training
        self.judge.begin_anew()
        return loop.engine

    def _loop(
        self, config: TrainConfig, network: Network, prepared: Prepared, emit: Emit, phase: range | None
    ) -> tuple[Loop, Snapshots]:
        engine = prepared.engine
        resized = config.resize.to_properties() if config.resize else {}
        metadata = {"network": network.name, "mean": config.use_mean, "engine": engine.name, **resized}
        model = Model(config.build_network(), self.labels, metadata)
        snapshots = Snapshots(model, prepared.sample, self.judge, self.best)
        judging = [StopEarly(self.judge, emit), CountPlateaus(self.judge, self.plateaus)]
        writing = [snapshots] if self.ranks.is_first else []
        watching = [StopOnRequest(self.stop.is_made), AbortCheck(self.check_abort)]
        callbacks = _callbacks(emit, watching, judging, prepared.val_images, writing)
        images, seed = prepared.train_images, config.settled_seed
        augmenter = open_augmenter(prepared.augmentation, network, images.layout, seed, config.settled_threads)
        return Loop(engine, config, images, callbacks, augmenter, phase, self.ranks), snapshots

    def _emit_of(self, phase: range | None) -> Emit:
        """Emits the progress of a phase as a part of the progress of the training."""
        if phase is None:
            return self.emit
        return partial(_emit_part, self.emit, phase.start / self.iterations, len(phase) / self.iterations)


def train(config: TrainConfig, emit: Emit, check_abort: Callable[[], None], ranks: Ranks = ALONE) -> float | None:
    """Train and write snapshots as `config` says; its seed and threads must be settled. Returns the epoch of the
    best snapshot. Raises BadInput for mistakes of the user, and any exception of check_abort. With several ranks each
    calls it, and `emit` is called by the first only."""
    emit = emit if ranks.is_first else _silent
    built = config.build_network()
    if (known := described(built, config.engine)) is not built:
        config = replace(config, network=known.to_dict())
    network = config.trained_network()
    labels = _labels(config, network)
    layout = layout_of(network, config.image_shape or network.input_shape, len(labels), config.resize)
    start = start_of(config, config.head_first().trained_network() if config.head_epochs else network)
    if start.state:
        config = replace(config, random_seed=start.state.seed)
    phases = phases_of(config, layout)
    judge, plateaus = early_stopping_of(config, start), start.state.plateaus if start.state else 0
    request = StopRequest(config.directory)
    course = _Course(labels, layout, emit, check_abort, judge, plateaus, ranks, request, end_of(phases[-1]))
    left = [phase for phase in phases if not end_of(phase) or start.iteration < end_of(phase)]
    engine: Engine | None = None
    for phase_config, phase in left or phases[-1:]:
        if engine:
            start = Start(engine.weights())
        elif phase and 0 < start.iteration == phase.start:
            start = after_head(start, judge)
        engine = course.run(phase_config, start, phase)
        if course.has_stopped:
            break
    return course.best[0] if course.best else None


def _silent(event: dict[str, Any]) -> None:
    """Emit nothing."""


def _emit_part(emit: Emit, before: float, share: float, event: dict[str, Any]) -> None:
    """Emit an event of a phase that is this share of the training, after what was done before."""
    if event["event"] == "progress":
        event = event | {"fraction": round(before + share * event["fraction"], 4)}
    emit(event)


def _prepared(
    config: TrainConfig,
    network: Network,
    layout: InputLayout,
    start: Start,
    emit: Emit,
    check_abort: Callable[[], None],
    ranks: Ranks,
) -> tuple[Prepared, Emit]:
    """Open the images and the engine of a phase. Returns them, and what emits the events of the phase."""
    mean, scale = normalization(config, network, layout)
    whole = _engine_config(config, network, mean, scale, ranks)
    parts = planned_parts(network, config.train_layers, config.feature_views, config)
    if parts and (views := open_views(config, layout, parts)):
        prepared, emit = prepare_head_training(config, whole, parts, views, start.weights, emit, check_abort)
    else:
        prepared = _prepare(config, whole, layout, _preparing(emit, check_abort))
    logger.info("engine: %s on %s (configured: %s)", prepared.engine.name, prepared.engine.device, config.engine)
    return prepared, emit


def _callbacks(
    emit: Emit,
    watching: Sequence[Callback],
    judging: Sequence[Callback],
    val_images: Images | None,
    writing: Sequence[Callback],
) -> Sequence[Callback]:
    """The callbacks of a training, in the order of their calls: metrics of training, then validation, then the
    snapshot. `watching`: those that can end it. `judging`: those that the result of a validation concerns. `writing`:
    those that write snapshots."""
    reporting = [ProgressReporter(emit), EventReporter(emit)]
    validating = [Validation(val_images)] if val_images else []
    return [*watching, *reporting, *judging, *validating, *writing]


def _labels(config: TrainConfig, network: Network) -> tuple[str, ...]:
    """The categories' names; none if labels are not categories. A network can have more scores than there are
    categories."""
    if network.label_shape:
        return ()
    try:
        # Not splitlines(), which also splits at characters that a category's name can contain.
        labels = tuple(Path(config.labels_file or "").read_bytes().decode().removesuffix("\n").split("\n"))
    except (OSError, ValueError) as error:
        raise BadInput(f"the labels {config.labels_file} can't be read: {error}") from error
    if config.category_weights and len(config.category_weights) != len(labels):
        raise BadInput(f"there are {len(config.category_weights)} category_weights for {len(labels)} categories")
    network.check_categories(len(labels))
    return labels


def _preparing(emit: Emit, check_abort: Callable[[], None]) -> Callable[[], None]:
    """Returns a function that checks for an abort and, at most once a second, emits progress while data is prepared."""
    last_emitted = time.monotonic()

    def tick() -> None:
        nonlocal last_emitted
        check_abort()
        if time.monotonic() - last_emitted >= PROGRESS_SECONDS:
            last_emitted = time.monotonic()
            emit(progress(fraction=0.0, epoch=0.0, images_per_second=0.0, learning_rate=0.0))

    return tick


def _prepare(config: TrainConfig, whole: EngineConfig, layout: InputLayout, tick: Callable[[], None]) -> Prepared:
    """Open the images and the engine of a training that computes all layers."""
    train_images, *val = [open_images(path, layout, config.settled_threads, tick) for path in config.record_files]
    engine = open_engine(choose_installed(whole.network, config.engine, config), whole)
    val_images = val[0] if val else None
    return Prepared(engine, train_images, val_images, sample_of(val_images or train_images, config.batch_size), config)


def _engine_config(
    config: TrainConfig, network: Network, mean: np.ndarray | None, scale: np.ndarray | None, ranks: Ranks
) -> EngineConfig:
    return EngineConfig(
        network=network,
        mean=mean,
        scale=scale,
        devices=config.devices,
        threads=config.settled_threads,
        seed=config.settled_seed,
        category_weights=config.category_weights,
        ranks=ranks,
        **config.values(),
    )


def _started(config: TrainConfig, network: Network, start: Start, prepared: Prepared, ranks: Ranks) -> dict[str, Any]:
    engine = prepared.engine
    return {
        "event": "started",
        "engine": engine.name,
        "device": ranks.all_devices(engine.device),
        "precision": engine.precision,
        "threads": engine.threads,
        "parameters": parameter_count(network),
        "train_images": len(prepared.train_images),
        "val_images": len(prepared.val_images) if prepared.val_images else 0,
        "random_seed": config.random_seed,
        "taken_over": start.taken_over,
        "afresh": start.afresh,
        "warnings": start.warnings,
    }
