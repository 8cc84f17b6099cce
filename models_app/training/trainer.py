"""Runs a training from its configuration: opens the data and the engine, and runs the loop with its callbacks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from digits_project.common.errors import BadInput
from models_app.networks import Network, parameter_count
from models_app.networks.fine_tuning import with_plain_averages
from models_app.training.augmentation.augmenter import open_augmenter
from models_app.training.callbacks import (
    PROGRESS_SECONDS,
    AbortCheck,
    CountPlateaus,
    Emit,
    EventReporter,
    ProgressReporter,
    StopEarly,
    Validation,
    progress,
)
from models_app.training.config import TrainConfig
from models_app.training.data.crops import InputLayout, layout_of
from models_app.training.data.pixels import Images, open_images
from models_app.training.data.prepared import Prepared, sample_of
from models_app.training.early_stopping import EarlyStopping
from models_app.training.engines import Engine, EngineConfig, choose_installed, open_engine
from models_app.training.features.head_training import prepare_head_training
from models_app.training.features.plan import planned_parts
from models_app.training.hyperparameters import NETWORK
from models_app.training.loop import Callback, Loop
from models_app.training.snapshot_callback import Snapshots
from models_app.training.snapshots.snapshot_reader import TrainingState, read_snapshot
from models_app.training.snapshots.snapshot_writer import Model
from models_app.training.starting_weights import StartingWeights, starting_weights

logger = logging.getLogger("trainer")

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class Start:
    """The start of a training: random weights, the weights of a file, or a snapshot of this training.

    state, optimizer_state: those of the snapshot.
    taken_over, afresh, warnings: see StartingWeights; empty for a snapshot.
    """

    weights: Arrays
    optimizer_state: Arrays | None = None
    state: TrainingState | None = None
    taken_over: tuple[str, ...] = ()
    afresh: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def iteration(self) -> int:
        """The number of batches trained before."""
        return self.state.iteration if self.state else 0


def train(config: TrainConfig, emit: Emit, check_abort: Callable[[], None]) -> float | None:
    """Train and write snapshots as `config` says; its seed and threads must be settled. Returns the epoch of the
    best snapshot. Raises BadInput for mistakes of the user, and any exception of check_abort."""
    network = config.trained_network()
    labels = _labels(config, network)
    layout = layout_of(network, config.image_shape or network.input_shape, len(labels), config.resize)
    mean, scale = normalization(config, network, layout)
    start = _start(config, network)
    if start.state:
        config = replace(config, random_seed=start.state.seed)
    whole = _engine_config(config, network, mean, scale)
    if parts := planned_parts(network, config.train_layers, config.feature_views, config):
        prepared, emit = prepare_head_training(config, whole, parts, start.weights, layout, emit, check_abort)
    else:
        prepared = _prepare(config, whole, layout, _preparing(emit, check_abort))
    engine, train_images, val_images = prepared.engine, prepared.train_images, prepared.val_images
    logger.info("engine: %s on %s (configured: %s)", engine.name, engine.device, config.engine)
    _load(engine, config, start)
    emit(_started(config, engine, network, start, len(train_images), len(val_images) if val_images else 0))

    early_stopping = _early_stopping(config, start)
    resized = config.resize.to_properties() if config.resize else {}
    metadata = {"network": network.name, "mean": config.use_mean, "engine": engine.name, **resized}
    snapshots = Snapshots(Model(config.build_network(), labels, metadata), prepared.sample, early_stopping)
    plateaus = start.state.plateaus if start.state else 0
    judging = [StopEarly(early_stopping, emit), CountPlateaus(early_stopping, plateaus)]
    callbacks = _callbacks(emit, check_abort, judging, val_images, snapshots)
    augmenter = open_augmenter(config, network, train_images.layout, config.settled_seed, config.settled_threads)
    Loop(engine, config, train_images, callbacks, augmenter).run(start.iteration)
    return snapshots.best_epoch


def _callbacks(
    emit: Emit,
    check_abort: Callable[[], None],
    judging: Sequence[Callback],
    val_images: Images | None,
    snapshots: Snapshots,
) -> Sequence[Callback]:
    """The callbacks of a training, in the order of their calls: metrics of training, then validation, then the
    snapshot. `judging`: those that the result of a validation concerns."""
    watching = [AbortCheck(check_abort), ProgressReporter(emit), EventReporter(emit)]
    validating = [Validation(val_images)] if val_images else []
    return [*watching, *judging, *validating, snapshots]


def normalization(
    config: TrainConfig, network: Network, layout: InputLayout
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """What the engine subtracts from images, and the factor of the difference (EngineConfig.mean, scale)."""
    if config.use_mean == NETWORK and network.normalization:
        return network.normalization.mean_array(), network.normalization.scale_array()
    return read_mean(config, layout), None


def read_mean(config: TrainConfig, layout: InputLayout) -> np.ndarray | None:
    """The mean of the dataset that the engine subtracts from images; None without one (`use_mean` none).

    It is the middle of the mean image, C×H×W, scaled as the images are (`use_mean` image), or the mean of each channel,
    C×1×1 (pixel).
    """
    if config.use_mean == "none":
        return None
    try:
        mean = np.load(config.mean_file or "", allow_pickle=False).astype(np.float32)
    except (OSError, ValueError, EOFError, SyntaxError) as error:  # NumPy raises any of these for a damaged file
        raise BadInput(f"the mean image {config.mean_file} can't be read: {error}") from error
    if mean.shape != layout.image_shape:
        found, wanted = ("×".join(map(str, shape)) for shape in (mean.shape, layout.image_shape))
        raise BadInput(f"the mean image is {found}, but the images are {wanted} (channels×height×width)")
    if config.use_mean == "pixel":
        return mean.mean(axis=(1, 2), keepdims=True)
    return np.ascontiguousarray(layout.middle(mean))


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
    paths = [config.train_records, *([config.val_records] if config.val_records else [])]
    train_images, *val = [open_images(Path(path), layout, config.settled_threads, tick) for path in paths]
    engine = open_engine(choose_installed(whole.network, config.engine), whole)
    val_images = val[0] if val else None
    return Prepared(engine, train_images, val_images, sample_of(val_images or train_images, config.batch_size))


def _engine_config(
    config: TrainConfig, network: Network, mean: np.ndarray | None, scale: np.ndarray | None
) -> EngineConfig:
    return EngineConfig(
        network=network,
        mean=mean,
        scale=scale,
        devices=config.devices,
        threads=config.settled_threads,
        seed=config.settled_seed,
        category_weights=config.category_weights,
        **config.values(),
    )


def _start(config: TrainConfig, network: Network) -> Start:
    """Read or draw the weights to begin with."""
    if config.resume_from:
        return Start(*read_snapshot(Path(config.resume_from)))
    found = starting_weights(network, config.settled_seed, config.initial_weights, config.readable_roots)
    network.check_fresh(found.afresh)
    _log_start(found, config.initial_weights)
    arrays = with_plain_averages(network, found.arrays)
    return Start(arrays, taken_over=found.taken_over, afresh=found.afresh, warnings=found.warnings)


def _early_stopping(config: TrainConfig, start: Start) -> EarlyStopping:
    if start.state is None:
        return EarlyStopping(config.early_stop_patience)
    return EarlyStopping(config.early_stop_patience, start.state.best_score, start.state.wait)


def _load(engine: Engine, config: TrainConfig, start: Start) -> None:
    """Load the weights into the engine and, for a training that resumes, the optimizer's state. Raises BadInput."""
    if start.state is None:
        engine.load_weights(start.weights)
        return
    for name in ("batch_size", "batch_accumulation"):
        was, now = getattr(start.state, name), getattr(config, name)
        if was != now:
            raise BadInput(f"the snapshot was trained with {name} {was}, not {now}")
    engine.load_weights(start.weights)
    engine.load_optimizer_state(start.optimizer_state or {})


def _started(
    config: TrainConfig,
    engine: Engine,
    network: Network,
    start: Start,
    train_images: int,
    val_images: int,
) -> dict[str, Any]:
    return {
        "event": "started",
        "engine": engine.name,
        "device": engine.device,
        "threads": engine.threads,
        "parameters": parameter_count(network),
        "train_images": train_images,
        "val_images": val_images,
        "random_seed": config.random_seed,
        "taken_over": start.taken_over,
        "afresh": start.afresh,
        "warnings": start.warnings,
    }


def _log_start(start: StartingWeights, source: str | None) -> None:
    """Write to train.log which layers started with weights from a file."""
    if source:
        logger.info("weights copied from %s: layers %s", source, ", ".join(start.taken_over))
        logger.info("layers with random weights: %s", ", ".join(start.afresh) or "none")
        for warning in start.warnings:
            logger.warning("%s", warning)
