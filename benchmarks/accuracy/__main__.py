"""The accuracy that recipes reach, with the time and the disk that they take, on whole servers over REST.

`make bench-accuracy` trains each recipe on each image set: 600 photos of clothing in four folds, 5,000 small images of
CIFAR-10, and scikit-learn's digits. The first two are tar files in the folder that BENCH_DATA names; without them only
the digits run. `ONLY=clothing`, `RECIPES=features,auto` and `FOLDS=1` choose a part. It prints each row, merges it into
benchmarks/accuracy/results.json, and writes the table of all rows there into docs/choosing.md. So parts can run one
after another.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.accuracy.accuracy_rows import HEADINGS, AccuracyRow, line, store
from benchmarks.accuracy.image_sets import FOLDS, IMAGE_SETS, ImageSet
from benchmarks.accuracy.trainings import Training, create_dataset, train
from tests.support.server import RunningServer
from tests.support.services import temporary_home

# The fields that each row sends. `again` is a second training on the same dataset.
CLASSIC = {"standard_networks": "lenet"}
ROWS: dict[str, dict[str, Any]] = {
    "classic": CLASSIC,
    "features": {"recipe": "features"},
    "again": {"recipe": "features", "learning_rate": 0.002},
    "finetune": {"recipe": "finetune"},
    "scratch": {"recipe": "scratch"},
    "auto": {"recipe": "auto"},
}
ALL_ROWS = ",".join(ROWS)


def main() -> int:
    options = _options()
    data = Path(options.data) if options.data else None
    print(line(HEADINGS), flush=True)
    for name in options.only.split(",") if options.only else IMAGE_SETS:
        images = IMAGE_SETS[name]
        if images.archive and not (data and (data / images.archive).exists()):
            print(f"{name:10} left out: set BENCH_DATA to a folder with {images.archive}", flush=True)
            continue
        for recipe, trainings in _measured(images, data, options.recipes.split(","), options.folds):
            row = AccuracyRow.of(name, recipe, trainings)
            print(line(row.cells), flush=True)
            store(row)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="SETS", help=f"some of {', '.join(IMAGE_SETS)}, joined by commas")
    parser.add_argument("--recipes", default=ALL_ROWS, help=f"some of {', '.join(ROWS)}, joined by commas")
    parser.add_argument("--folds", type=int, default=FOLDS, choices=range(1, FOLDS + 1))
    parser.add_argument("--data", default=os.environ.get("BENCH_DATA", ""), help="the folder of the tar files")
    options = parser.parse_args()
    if unknown := set(filter(None, options.only.split(","))) - set(IMAGE_SETS):
        parser.error(f"there is no set {', '.join(sorted(unknown))}: the sets are {', '.join(IMAGE_SETS)}")
    if unknown := set(options.recipes.split(",")) - set(ROWS):
        parser.error(f"there is no recipe {', '.join(sorted(unknown))}: the recipes are {', '.join(ROWS)}")
    return options


def _measured(images: ImageSet, data: Path | None, rows: list[str], folds: int) -> Iterator[tuple[str, list[Training]]]:
    """Each row's training on every fold; a fold's dataset is new, and all rows share it."""
    with TemporaryDirectory() as scratch, temporary_home() as home, RunningServer(home, 0) as server:
        archive = data / images.archive if data else Path()
        datasets = [create_dataset(server, images, fold) for fold in images.folds(archive, Path(scratch), folds)]
        for row in rows:
            yield row, [train(server, dataset, ROWS[row]) for dataset in datasets]


if __name__ == "__main__":
    sys.exit(main())
