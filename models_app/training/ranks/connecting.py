"""Starts and connects the ranks of an engine that computes on one device in a process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from digits_project.common.errors import BadInput, Failed
from models_app.training.config import TrainConfig
from models_app.training.engines.registry import ENGINES, import_part
from models_app.training.ranks.rank import ALONE, Ranks


def launcher_of(path: Path) -> Callable[[], int] | None:
    """A function that starts the ranks of this host, waits for them and returns the exit status. None if this process
    is a rank itself, if the training has none, or if its configuration is not valid or the engine does not load."""
    try:
        config = TrainConfig.from_file(path)
        connector = _connector(config) if config.meeting else None
    except (BadInput, Failed, OSError):
        return None
    return partial(connector.launch, path, config) if connector and not connector.is_rank() else None


def connect(config: TrainConfig) -> Ranks:
    """Connect this process with the other ranks of its training, if it has any. Raises RankLost, BadInput or Failed."""
    return _connector(config).connect(config) if config.meeting else ALONE


def _connector(config: TrainConfig) -> Any:
    """The module that starts and connects the ranks of the configured engine."""
    engine = ENGINES.get(config.engine)
    if not (engine and engine.ranks_module):
        raise BadInput(f"engine {config.engine} does not train with several ranks")
    return import_part(engine, engine.ranks_module)
