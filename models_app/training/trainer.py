"""A training from its configuration: opens the data and the engine, and connects the loop with the snapshots."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from digits_project.common.errors import BadInput
from models_app.networks import Network, parameter_count
from models_app.training.config import TrainConfig
from models_app.training.data.crops import InputLayout, centred, layout_of
from models_app.training.data.pixels import Images, open_images
from models_app.training.early_stopping import EarlyStopping
from models_app.training.engines import Engine, EngineConfig, open_engine
from models_app.training.loop import PROGRESS_SECONDS, Emit, Loop, progress
from models_app.training.snapshots.snapshot_reader import FILES, TrainingState, read_snapshot
from models_app.training.snapshots.snapshot_writer import Model, write_snapshot
from models_app.training.starting_weights import StartingWeights, starting_weights

logger = logging.getLogger("trainer")


def train(config: TrainConfig, emit: Emit, check_abort: Callable[[], None]) -> float | None:
    """Train and take snapshots, as `config` says, its seed and threads settled. Returns the epoch of the best snapshot.

    Raises BadInput for what the user can mend, and whatever check_abort raises.
    """
    network = config.build_network()
    labels = _labels(config, network)
    layout = layout_of(network, config.image_shape or network.input_shape, len(labels))
    mean = read_mean(config, layout)
    resumed = read_snapshot(Path(config.resume_from)) if config.resume_from else None
    if resumed:
        config = replace(config, random_seed=resumed[2].seed)
    start = (
        None
        if resumed
        else starting_weights(network, config.random_seed, config.initial_weights, config.readable_roots)
    )
    if start:
        network.check_fresh(start.afresh)
        _log_start(start, config.initial_weights)
    train_images, val_images = _open_data(config, layout, _preparing(emit, check_abort))
    engine = open_engine(config.framework, _engine_config(config, network, mean))
    first = _load(engine, config, start, resumed)
    emit(_started(config, engine, network, start, len(train_images), len(val_images) if val_images else 0))
    sample = _sample(val_images or train_images, config.batch_size)
    model = Model(network, labels, {"network": network.name, "mean": config.use_mean, "engine": engine.name})

    early_stopping = EarlyStopping(config.early_stop_patience)
    if resumed:
        early_stopping.best_score, early_stopping.wait = resumed[2].best_score, resumed[2].wait

    def take_snapshot(epoch: float, iteration: int, rate: float) -> dict[str, Any]:
        shared = {"batch_size": config.batch_size, "batch_accumulation": config.batch_accumulation}
        judged = {"best_score": early_stopping.best_score, "wait": early_stopping.wait}
        state = TrainingState(epoch, iteration, learning_rate=rate, seed=config.random_seed, **shared, **judged)
        root = Path(config.directory)
        snapshot = write_snapshot(root / "snapshots", engine, model, state, sample, config.threads)
        directory = snapshot.directory.relative_to(root).as_posix()
        return {"directory": directory, "files": FILES, "max_difference": snapshot.max_difference}

    return Loop(engine, config, train_images, val_images, emit, check_abort, take_snapshot, early_stopping).run(first)


def read_mean(config: TrainConfig, layout: InputLayout) -> np.ndarray | None:
    """What is subtracted: the mean image's middle, C×H×W (image), its mean by channel, C×1×1 (pixel), or nothing."""
    if config.use_mean == "none":
        return None
    try:
        mean = np.load(config.mean_file, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError, EOFError, SyntaxError) as error:  # NumPy raises any of these for a damaged file
        raise BadInput(f"the mean image {config.mean_file} can't be read: {error}") from error
    if mean.shape != layout.image_shape:
        found, wanted = ("×".join(map(str, shape)) for shape in (mean.shape, layout.image_shape))
        raise BadInput(f"the mean image is {found}, but the images are {wanted} (channels×height×width)")
    if config.use_mean == "pixel":
        return mean.mean(axis=(1, 2), keepdims=True)
    return np.ascontiguousarray(centred(mean, layout.input_shape))


def _labels(config: TrainConfig, network: Network) -> tuple[str, ...]:
    """The categories' names; none where labels are no categories. A network may have more scores than there are."""
    if network.label_shape:
        return ()
    try:
        # Not splitlines, which also cuts at characters that a category's name may hold.
        labels = tuple(Path(config.labels_file).read_bytes().decode().removesuffix("\n").split("\n"))
    except (OSError, ValueError) as error:
        raise BadInput(f"the labels {config.labels_file} can't be read: {error}") from error
    if config.category_weights and len(config.category_weights) != len(labels):
        raise BadInput(f"there are {len(config.category_weights)} category_weights for {len(labels)} categories")
    network.check_categories(len(labels))
    return labels


def _preparing(emit: Emit, check_abort: Callable[[], None]) -> Callable[[], None]:
    """Notices an abort and gives a sign of life, at most one a second, while the data is made ready."""
    told = time.monotonic()

    def tick() -> None:
        nonlocal told
        check_abort()
        if time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            emit(progress(fraction=0.0, epoch=0.0, images_per_second=0.0, learning_rate=0.0))

    return tick


def _open_data(config: TrainConfig, layout: InputLayout, tick: Callable[[], None]) -> tuple[Images, Images | None]:
    settings = (layout, config.threads, tick)
    train_images = open_images(Path(config.train_records), *settings)
    return train_images, open_images(Path(config.val_records), *settings) if config.val_records else None


def _engine_config(config: TrainConfig, network: Network, mean: np.ndarray | None) -> EngineConfig:
    return EngineConfig(
        network=network,
        mean=mean,
        batch_size=config.batch_size,
        batch_accumulation=config.batch_accumulation,
        solver_type=config.solver_type,
        momentum=config.momentum,
        rms_decay=config.rms_decay,
        weight_decay=config.weight_decay,
        devices=config.devices,
        threads=config.threads,
        seed=config.random_seed,
        category_weights=config.category_weights,
    )


def _load(engine: Engine, config: TrainConfig, start: StartingWeights | None, resumed: Any) -> int:
    """Give the engine its weights. Returns the iteration to begin at."""
    if start:
        engine.load_weights(start.arrays)
        return 0
    weights, optimizer_state, state = resumed
    for name in ("batch_size", "batch_accumulation"):
        if getattr(state, name) != getattr(config, name):
            raise BadInput(f"the snapshot was trained with {name} {getattr(state, name)}, not {getattr(config, name)}")
    engine.load_weights(weights)
    engine.load_optimizer_state(optimizer_state)
    return state.iteration


def _started(
    config: TrainConfig,
    engine: Engine,
    network: Network,
    start: StartingWeights | None,
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
        "taken_over": start.taken_over if start else (),
        "afresh": start.afresh if start else (),
        "warnings": start.warnings if start else (),
    }


def _log_start(start: StartingWeights, source: str | None) -> None:
    """For train.log, where there is a file of weights."""
    if source:
        logger.info("weights are taken over from %s: layers %s", source, ", ".join(start.taken_over))
        logger.info("layers that start afresh: %s", ", ".join(start.afresh) or "none")
        for warning in start.warnings:
            logger.warning("%s", warning)


def _sample(images: Images, most: int) -> np.ndarray:
    """The first images, whole: uint8 n×C×H×W."""
    numbers, layout = range(min(len(images), most)), images.layout
    sample = np.empty((len(numbers), *layout.image_shape), np.uint8)
    labels = np.empty((len(numbers), *layout.label_shape), np.float32)
    images.read(numbers, sample, labels)
    return sample
