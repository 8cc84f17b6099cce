"""The speed of training, building and serving, each against an anchor on this machine, in one table.

Run it with `make bench`, on a machine that does nothing else; `make bench ONLY=training,serving` for a part. Exits with
1 where a goal is missed or a part fails. Each part that ends replaces its rows in benchmarks/results.json. Rows against
PyTorch need BENCH_TORCH_PYTHON, those against LitServe and OpenCV BENCH_ANCHORS_PYTHON, each the Python of an
environment of its own. docs/performance.md explains the rows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import psutil

from benchmarks.report import HEADING, LeftOut, Row, line, table, write_part

# How many rounds each part takes of a row; the median counts. All parts together stay under 25 minutes on two cores.
ROUNDS = {"training": 3, "engines": 3, "whole_training": 3, "jobs": 3, "building": 3, "serving": 3, "server": 5}
RESULTS = Path(__file__).with_name("results.json")
FAILURES = (RuntimeError, AssertionError, OSError, subprocess.SubprocessError, psutil.Error)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="PARTS", help=f"some of {', '.join(ROUNDS)}, joined by commas")
    parser.add_argument("--rounds", type=int, help="of each row")
    parser.add_argument("--save", action="store_true", help=f"the rows of each part that ends in {RESULTS.name}")
    parser.add_argument("--table", action="store_true", help=f"print {RESULTS.name} for docs/performance.md, and end")
    options = parser.parse_args()
    if options.table:
        print(table(json.loads(RESULTS.read_text())), end="")
        return 0
    parts = options.only.split(",") if options.only else list(ROUNDS)
    if unknown := set(parts) - set(ROUNDS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: the parts are {', '.join(ROUNDS)}")
    print(HEADING, flush=True)
    results: list[Row | LeftOut] = []
    seconds: dict[str, float] = {}
    failed = []
    for part in parts:
        began = time.monotonic()
        rows: list[Row | LeftOut] = []
        try:
            for row in _rows(part, options.rounds or ROUNDS[part]):
                print(line(row), flush=True)
                rows.append(row)
        except FAILURES:  # the other parts still count
            traceback.print_exc()
            failed.append(part)
        results += rows
        seconds[part] = time.monotonic() - began
        print(f"{part} took {_minutes(seconds[part])}", flush=True)
        if options.save and part not in failed:
            write_part(part, rows, seconds[part], RESULTS)
    return _conclude(results, failed, sum(seconds.values()))


def _rows(part: str, rounds: int) -> Iterator[Row | LeftOut]:
    return import_module(f"benchmarks.{part}").rows(rounds)


def _conclude(results: list[Row | LeftOut], failed: list[str], seconds: float) -> int:
    """Print the missed goals; return the exit status."""
    rows = [row for row in results if isinstance(row, Row)]
    missed = [row.name for row in rows if not row.met]
    print(f"{_minutes(seconds)}; {len(results) - len(rows)} rows left out; {len(missed)} of {len(rows)} goals missed")
    print("".join(f"  {name}\n" for name in missed) + "".join(f"  part {part} failed\n" for part in failed), end="")
    return 1 if missed or failed else 0


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02} min"


if __name__ == "__main__":
    sys.exit(main())
