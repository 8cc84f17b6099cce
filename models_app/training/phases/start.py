"""The start of a training or of a phase of one: its weights, and what it goes on from."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from digits_project.common.errors import BadInput
from models_app.networks import Network
from models_app.networks.fine_tuning import with_plain_averages
from models_app.training.config import TrainConfig
from models_app.training.early_stopping import EarlyStopping
from models_app.training.engines import Engine, initial_weights, resized_weights
from models_app.training.snapshots.snapshot_reader import TrainingState, read_snapshot
from models_app.training.starting_weights import StartingWeights, starting_weights

logger = logging.getLogger("trainer")


@dataclass(frozen=True)
class Start:
    """The start of a training: random weights, the weights of a file, or a snapshot of this training.

    state, optimizer_state: those of the snapshot.
    taken_over, afresh, warnings: see StartingWeights; empty for a snapshot.
    """

    weights: dict[str, np.ndarray]
    optimizer_state: dict[str, np.ndarray] | None = None
    state: TrainingState | None = None
    taken_over: tuple[str, ...] = ()
    afresh: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def iteration(self) -> int:
        """The number of batches trained before."""
        return self.state.iteration if self.state else 0


def start_of(config: TrainConfig, network: Network) -> Start:
    """Read or draw the weights to begin with."""
    if config.resume_from:
        weights, optimizer_state, state = read_snapshot(Path(config.resume_from))
        for name in ("batch_size", "batch_accumulation"):
            was, now = getattr(state, name), getattr(config, name)
            if was != now:
                raise BadInput(f"the snapshot was trained with {name} {was}, not {now}")
        return Start(weights, optimizer_state, state)
    draw = partial(initial_weights, network, config.engine)
    resize = partial(resized_weights, network)
    found = starting_weights(network, config.settled_seed, config.initial_weights, config.readable_roots, draw, resize)
    network.check_fresh(found.afresh)
    _log_start(found, config.initial_weights)
    arrays = with_plain_averages(network, found.arrays)
    return Start(arrays, taken_over=found.taken_over, afresh=found.afresh, warnings=found.warnings)


def early_stopping_of(config: TrainConfig, start: Start) -> EarlyStopping:
    if start.state is None:
        return EarlyStopping(config.early_stop_patience)
    return EarlyStopping(config.early_stop_patience, start.state.best_score, start.state.wait)


def load(engine: Engine, start: Start) -> None:
    """Load the weights into the engine and, for a training that resumes, the optimizer's state. Raises BadInput."""
    engine.load_weights(start.weights)
    if start.state:
        engine.load_optimizer_state(start.optimizer_state or {})


def after_head(start: Start, judge: EarlyStopping) -> Start:
    """The start after the last snapshot of the head_epochs: solver and early stopping begin anew."""
    judge.begin_anew()
    return replace(start, state=None, optimizer_state=None)


def _log_start(start: StartingWeights, source: str | None) -> None:
    """Write to train.log which layers started with weights from a file."""
    if source:
        logger.info("weights copied from %s: layers %s", source, ", ".join(start.taken_over))
        logger.info("layers with random weights: %s", ", ".join(start.afresh) or "none")
        for warning in start.warnings:
            logger.warning("%s", warning)
