"""The rows of a benchmark: what was measured, against what, and whether the goal is met."""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from digits_project.common.resources import usable_cores

NO_TORCH = "make torch, or set BENCH_TORCH_PYTHON to a Python that has PyTorch"
NO_ANCHORS = "set BENCH_ANCHORS_PYTHON to a Python with requirements/anchors.txt"


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


@dataclass(frozen=True)
class LeftOut:
    """A row that can't be measured here, and the reason."""

    name: str
    reason: str


def against(name: str, unit: str, anchor: str, rounds: Sequence[tuple[float, float]], goal: float | None) -> Row:
    """A row from rounds of (our speed, the anchor's speed), in `unit` per second or the like: larger is better."""
    ratios = [ours / theirs for ours, theirs in rounds]
    ours, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    spread = (min(ratios), max(ratios))
    return Row(name, unit, ours, goal, spread, anchor, theirs, statistics.median(ratios))


def sooner(name: str, unit: str, anchor: str, rounds: Sequence[tuple[float, float]], goal: float | None) -> Row:
    """A row from rounds of (ours, the anchor's) that should be small, such as a latency: its ratio is anchor / ours."""
    row = against(name, unit, anchor, [(1 / ours, 1 / theirs) for ours, theirs in rounds], goal)
    ours, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    return replace(row, figure=ours, anchor_figure=theirs)


def at_most(name: str, unit: str, figures: Sequence[float], goal: float | None) -> Row:
    """A row from figures that should be small, such as seconds or MiB."""
    return Row(name, unit, statistics.median(figures), goal, (min(figures), max(figures)))


HEADING = f"{'':<46} {'ours':>10} {'anchor':>10} {'unit':<9} {'ratio':>6} {'goal':>6} {'spread':>13} {'load':>5}"


def line(row: Row | LeftOut) -> str:
    """A row as a line of text."""
    if isinstance(row, LeftOut):
        return f"{row.name:<46} left out: {row.reason}"
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


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The rows of write_part() as a table in Markdown."""
    lines = ["| row | ours | anchor | ratio | goal | |", "|---|---|---|---|---|---|"]
    for row in (row for part in results.values() for row in part["rows"]):
        has_anchor, sign = row["ratio"] is not None, "≤" if row["ratio"] is None else "≥"
        anchor = f"{_number(row['anchor_figure'])} ({row['anchor']})" if has_anchor else "–"
        ratio = f"{row['ratio']:.2f}" if has_anchor else "–"
        goal = "–" if row["goal"] is None else f"{sign} {row['goal']:g}"
        verdict = "–" if row["goal"] is None else "met" if row["met"] else "**missed**"
        lines.append(
            f"| {row['name']} | {_number(row['figure'])} {row['unit']} | {anchor} | {ratio} | {goal} | {verdict} |"
        )
    return "\n".join(lines) + "\n"


def _number(figure: float) -> str:
    """A figure with three digits, or with all those before its point."""
    return f"{figure:,.0f}" if figure >= 100 else f"{figure:#.3g}".removesuffix(".")


def write_part(part: str, rows: Sequence[Row | LeftOut], seconds: float, path: Path) -> None:
    """Put the rows of a part into the results, in place of its earlier ones: when, on which machine, at which commit,
    and in how many seconds they were measured."""
    results = json.loads(path.read_text()) if path.exists() else {}
    results[part] = {
        "date": f"{datetime.now(timezone.utc):%Y-%m-%d}",
        "commit": _commit(),
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": usable_cores(),
            "python": platform.python_version(),
        },
        "seconds": round(seconds),
        "rows": [{**asdict(row), "met": row.met} for row in rows if isinstance(row, Row)],
        "left_out": [asdict(row) for row in rows if isinstance(row, LeftOut)],
    }
    path.write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n")


def _commit() -> str:
    """The commit of the code that runs; "" outside of a repository."""
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        return ""
