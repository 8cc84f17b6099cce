"""The speed of training, building and serving, each against an anchor on this machine, in one table.

Run it with `make bench`, on a machine that does nothing else; `make bench ONLY=training,serving` for a part. Exits with
1 where a goal is missed, and writes benchmarks/results.json after a run of all parts. Rows against PyTorch need
BENCH_TORCH_PYTHON, the Python of an environment that has PyTorch. docs/performance.md explains the rows.
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

from benchmarks.loops.rounds import TORCH_PYTHON
from benchmarks.report import HEADING, Row, line, write_json

PARTS = ("training", "whole_training", "jobs", "building", "serving", "server")
RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="PARTS", help=f"some of {', '.join(PARTS)}, joined by commas")
    parser.add_argument("--rounds", type=int, default=5, help="of each row; the median counts")
    options = parser.parse_args()
    parts = options.only.split(",") if options.only else PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}: the parts are {', '.join(PARTS)}")
    results = _measure(parts, options.rounds)
    if not options.only:
        write_json(results, RESULTS)
    if not TORCH_PYTHON:
        print("Rows against PyTorch are left out: set BENCH_TORCH_PYTHON to a Python that has it.")
    missed = [row.name for row in results if not row.met]
    print(f"{len(missed)} of {len(results)} goals missed" + "".join(f"\n  {name}" for name in missed))
    return 1 if missed else 0


def _measure(parts: tuple[str, ...] | list[str], rounds: int) -> list[Row]:
    print(HEADING, flush=True)
    results = []
    for part in parts:
        for row in import_module(f"benchmarks.{part}").rows(rounds):
            print(line(row), flush=True)
            results.append(row)
    return results


if __name__ == "__main__":
    sys.exit(main())
