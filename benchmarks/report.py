"""The rows of a benchmark: what was measured, against what, and whether the goal is met."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from digits_project.common.resources import usable_cores


@dataclass(frozen=True)
class Row:
    """One measurement: the median of several rounds.

    figure, anchor_figure: ours and the anchor's, in `unit`; a row with an absolute goal has no anchor.
    ratio: our speed / the anchor's, the median over the rounds; both sides of a round run one right after the other.
    goal: the smallest ratio, or the largest figure if there is no anchor.
    spread: the smallest and the largest ratio (or figure) of a round.
    load: the machine's load average when the row was measured; much above one, the figures say little.
    """

    name: str
    unit: str
    figure: float
    goal: float | None
    spread: tuple[float, float]
    anchor: str = ""
    anchor_figure: float | None = None
    ratio: float | None = None
    load: float = field(default_factory=lambda: round(os.getloadavg()[0], 1))

    @property
    def met(self) -> bool:
        """Whether the goal is met; a row without a goal is only reported."""
        if self.goal is None:
            return True
        return self.figure <= self.goal if self.ratio is None else self.ratio >= self.goal


def against(name: str, unit: str, anchor: str, rounds: Sequence[tuple[float, float]], goal: float | None) -> Row:
    """A row from rounds of (our speed, the anchor's speed), in `unit` per second or the like: larger is better."""
    ratios = [ours / theirs for ours, theirs in rounds]
    ours, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    spread = (min(ratios), max(ratios))
    return Row(name, unit, ours, goal, spread, anchor, theirs, statistics.median(ratios))


def at_most(name: str, unit: str, figures: Sequence[float], goal: float | None) -> Row:
    """A row from figures that should be small, such as seconds or MiB."""
    return Row(name, unit, statistics.median(figures), goal, (min(figures), max(figures)))


HEADING = f"{'':<46} {'ours':>10} {'anchor':>10} {'unit':<9} {'ratio':>6} {'goal':>6} {'spread':>13} {'load':>5}"


def line(row: Row) -> str:
    """A row as a line of text."""
    anchor = f"{row.anchor_figure:10.4g}" if row.anchor_figure is not None else f"{'':>10}"
    ratio = f"{row.ratio:6.2f}" if row.ratio is not None else f"{'':>6}"
    sign = "" if row.goal is None else "≥" if row.ratio is not None else "≤"
    goal = "" if row.goal is None else f"{sign}{row.goal:g}"
    spread = f"{row.spread[0]:.3g} to {row.spread[1]:.3g}"
    name = f"{row.name}, against {row.anchor}" if row.anchor else row.name
    verdict = "" if row.met else "  MISSED"
    return (
        f"{name:<46} {row.figure:10.4g} {anchor} {row.unit:<9} {ratio} {goal:>6} {spread:>13} {row.load:5.1f}{verdict}"
    )


def write_json(rows: Sequence[Row], path: Path) -> None:
    """The rows and the machine they were measured on."""
    machine = {"processor": platform.processor() or platform.machine(), "cores": usable_cores()}
    versions = {"python": platform.python_version()}
    results = [{**asdict(row), "met": row.met} for row in rows]
    path.write_text(json.dumps({"machine": machine | versions, "rows": results}, indent=2) + "\n")
