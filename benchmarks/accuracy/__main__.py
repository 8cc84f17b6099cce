"""The accuracy that recipes reach, with the time and the disk that they take, on whole servers over REST.

`make bench-accuracy` trains each recipe on each image set: 600 photos of clothing in four folds, 5,000 small images of
CIFAR-10, and scikit-learn's digits. The first two are tar files in the folder that BENCH_DATA names; without them only
the digits run. `ONLY=clothing`, `RECIPES=features,auto` and `FOLDS=1` choose a part. It prints each row, merges it into
benchmarks/accuracy/results.json, and writes the table of all rows there into docs/choosing.md. So parts can run one
after another.

`FOLDER=photos` measures your own folder, with a subfolder for each category, and keeps no rows. With `--timm-python`,
the Python of `make torch`, four runs of timm follow on the same folds (benchmarks/accuracy/timm_runs.py).
"""

from __future__ import annotations

import argparse
import os
import subprocess  # nosec B404 (the benchmark's own program)
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.accuracy.accuracy_rows import HEADINGS, AccuracyRow, line, store
from benchmarks.accuracy.image_sets import FOLDS, IMAGE_SETS, Fold, ImageSet, own_folder
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
# The same training on each engine: RECIPES=lenet-mxnet,lenet-torch on digits, resnet18-mxnet,resnet18-torch on photos.
ENGINE_ROWS: dict[str, dict[str, Any]] = {
    f"{network}-{engine}": {"standard_networks": network, "engine": engine, **size}
    for network, size in (("lenet", {}), ("resnet18", {"input_size": 64}))
    for engine in ("mxnet", "torch")
}


def main() -> int:
    options = _options()
    data = Path(options.data) if options.data else None
    print(line(HEADINGS), flush=True)
    for images in _chosen_sets(options):
        if images.archive and not (data and (data / images.archive).exists()):
            print(f"{images.name:10} left out: set BENCH_DATA to a folder with {images.archive}", flush=True)
            continue
        with TemporaryDirectory() as scratch:
            archive = data / images.archive if data else Path()
            folds = list(images.folds(archive, Path(scratch), options.folds))
            for recipe, trainings in _measured(images, folds, options.recipes.split(",")):
                row = AccuracyRow.of(images.name, recipe, trainings)
                print(line(row.cells), flush=True)
                if images.name in IMAGE_SETS:
                    store(row)
            if options.timm_python:
                _run_timm(options.timm_python, folds)
    return 0


def _chosen_sets(options: argparse.Namespace) -> list[ImageSet]:
    if options.folder:
        return [own_folder(Path(options.folder))]
    return [IMAGE_SETS[name] for name in options.only.split(",")] if options.only else list(IMAGE_SETS.values())


def _run_timm(python: str, folds: Iterable[Fold]) -> None:
    """Print what the runs of timm reach on each fold."""
    for number, fold in enumerate(folds, start=1):
        print(f"timm, fold {number}", flush=True)
        arguments = ["-m", "benchmarks.accuracy.timm_runs", str(fold.train), str(fold.val)]
        subprocess.run([python, *arguments], check=True)  # nosec B603 (the benchmark's own program)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.accuracy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="SETS", help=f"some of {', '.join(IMAGE_SETS)}, joined by commas")
    parser.add_argument(
        "--recipes", default=ALL_ROWS, help=f"some of {', '.join(ROWS | ENGINE_ROWS)}, joined by commas"
    )
    parser.add_argument("--folds", type=int, default=FOLDS, choices=range(1, FOLDS + 1))
    parser.add_argument("--folder", default="", help="your own images, in a subfolder for each category")
    parser.add_argument("--timm-python", default="", help="the Python of `make torch`, for four runs of timm")
    parser.add_argument("--data", default=os.environ.get("BENCH_DATA", ""), help="the folder of the tar files")
    options = parser.parse_args()
    if unknown := set(filter(None, options.only.split(","))) - set(IMAGE_SETS):
        parser.error(f"there is no set {', '.join(sorted(unknown))}: the sets are {', '.join(IMAGE_SETS)}")
    if unknown := set(options.recipes.split(",")) - set(ROWS | ENGINE_ROWS):
        known = ", ".join(ROWS | ENGINE_ROWS)
        parser.error(f"there is no recipe {', '.join(sorted(unknown))}: the recipes are {known}")
    return options


def _measured(images: ImageSet, folds: list[Fold], rows: list[str]) -> Iterator[tuple[str, list[Training]]]:
    """Each row's training on every fold; a fold's dataset is new, and all rows share it."""
    with temporary_home() as home, RunningServer(home, 0) as server:
        datasets = [create_dataset(server, images, fold) for fold in folds]
        for row in rows:
            yield row, [train(server, dataset, (ROWS | ENGINE_ROWS)[row]) for dataset in datasets]


if __name__ == "__main__":
    sys.exit(main())
