"""The rows of the accuracy benchmark: kept in results.json across runs, shown as a table in docs/choosing.md."""

from __future__ import annotations

import json
import statistics
import subprocess  # nosec B404 (git, with fixed arguments)
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path

from benchmarks.accuracy.trainings import Training

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parents[2] / "docs" / "choosing.md"
# The lines of the page between which the table stands.
BEGIN, END = "<!-- table of make bench-accuracy -->", "<!-- end of the table -->"
HEADINGS = ("images", "recipe", "followed", "folds", "accuracy", "last epoch", "seconds", "on disk", "load", "measured")


@dataclass(frozen=True)
class AccuracyRow:
    """The trainings of one recipe on the folds of one image set.

    date, commit: when they ran, and of which code; "+" behind the commit: it had changes.
    load: the mean load average of the machine; much above the number of cores, the seconds say little.
    """

    images: str
    recipe: str
    date: str
    commit: str
    load: float
    folds: tuple[Training, ...]

    @classmethod
    def of(cls, images: str, recipe: str, folds: Sequence[Training]) -> AccuracyRow:
        """The row of trainings that have just ended."""
        load = round(statistics.mean(training.load for training in folds), 1)
        return cls(images, recipe, date.today().isoformat(), _commit(), load, tuple(folds))

    @property
    def cells(self) -> tuple[str, ...]:
        """Its cells in the tables, below HEADINGS."""
        best = [100 * training.best for training in self.folds]
        spread = f" ± {statistics.pstdev(best):.1f}" if len(best) > 1 else ""
        seconds, disk = (statistics.median(getattr(each, name) for each in self.folds) for name in ("seconds", "disk"))
        return (
            self.images,
            self.recipe,
            ", ".join(sorted({training.recipe for training in self.folds})),
            str(len(self.folds)),
            f"{statistics.mean(best):.1f}{spread} %",
            f"{statistics.mean(100 * training.last for training in self.folds):.1f} %",
            f"{seconds:.0f}",
            f"{disk / 1e6:.0f} MB",
            f"{self.load:.1f}",
            f"{self.date}, {self.commit}",
        )


def read_rows(path: Path = RESULTS) -> list[AccuracyRow]:
    """The rows of earlier runs; none if there is no file."""
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return [AccuracyRow(**row | {"folds": tuple(Training(**fold) for fold in row["folds"])}) for row in stored]


def merged(rows: Iterable[AccuracyRow], new: AccuracyRow) -> list[AccuracyRow]:
    """The rows with the new one, in the order of their names. It replaces an earlier one of the same images and recipe,
    unless that has more folds."""
    found = {(row.images, row.recipe): row for row in rows}
    earlier = found.get((new.images, new.recipe))
    if earlier is None or len(earlier.folds) <= len(new.folds):
        found[new.images, new.recipe] = new
    return [found[key] for key in sorted(found)]


def store(new: AccuracyRow, path: Path = RESULTS, page: Path = PAGE) -> None:
    """Merge a row into the file, and write the table of all rows into the page."""
    rows = merged(read_rows(path), new)
    path.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    page.write_text(with_table(page.read_text(encoding="utf-8"), rows), encoding="utf-8")


def with_table(text: str, rows: Sequence[AccuracyRow]) -> str:
    """The page's text with the table of these rows."""
    before, _, rest = text.partition(f"{BEGIN}\n")
    after = rest.partition(END)[2]
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(row.cells for row in rows)]
    table = "".join(f"| {' | '.join(cells)} |\n" for cells in lines) + "\n" if rows else ""
    return f"{before}{BEGIN}\n\n{table}{END}{after}"


def line(cells: Sequence[str]) -> str:
    """Cells as a line of the terminal's table."""
    widths = (10, 14, 10, 5, 14, 10, 7, 8, 5, 0)
    return " ".join(f"{cell:{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _commit() -> str:
    """The abbreviated commit of the code that runs; "" outside of a repository."""
    hashed, changed = (
        subprocess.run(["git", *command], cwd=PAGE.parent, capture_output=True, text=True, check=False).stdout.strip()  # nosec B603 B607
        for command in (["rev-parse", "--short", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
    )
    # The files that this benchmark itself writes are no changes of the code.
    own = (RESULTS.name, PAGE.name)
    others = [name for name in changed.splitlines() if not name.endswith(own)]
    return hashed + ("+" if hashed and others else "")
