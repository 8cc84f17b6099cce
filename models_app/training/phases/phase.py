"""Divides a training into phases: the head_epochs, and what follows."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from models_app.training.config import TrainConfig
from models_app.training.data.crops import InputLayout
from models_app.training.data.pixels import Records
from models_app.training.loop import timetable_of

Phase = tuple[TrainConfig, range | None]  # its configuration and its iterations; None: all


def phases_of(config: TrainConfig, layout: InputLayout) -> list[Phase]:
    """The phases of the training: with head_epochs these, then what follows."""
    if not config.head_epochs:
        return [(config, None)]
    with closing(Records(Path(config.train_records), layout, 1)) as records:
        timetable = timetable_of(config, len(records))
    end = timetable.step_after(config.head_epochs)
    both: list[Phase] = [(config.head_first(), range(end)), (config, range(end, timetable.iterations))]
    return [(phase_config, phase) for phase_config, phase in both if phase]


def end_of(phase: Phase) -> int:
    """The last iteration of a phase; 0: that of the training."""
    return phase[1].stop if phase[1] else 0
