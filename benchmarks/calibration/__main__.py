"""Calibration of the standard networks on images that no network was trained on and no temperature was fitted on.

`python -m benchmarks.calibration --data FOLDER` trains each network on scikit-learn's digits and on the CIFAR-10 images
in FOLDER, with each engine, and fits temperature and threshold on one half of the other images. Of the other half it
prints the expected calibration error before and after. Then it trains on all but two categories, and prints how many
images of those two are called unsure at the default threshold. docs/unsure.md has the tables. With DIGITS_TORCH_PYTHON
unset, torch runs in this Python.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from benchmarks.accuracy.image_sets import IMAGE_SETS
from benchmarks.calibration.held_out import HeldOut, held_out
from benchmarks.calibration.trained_scores import Scored, read_fold, scores_of

# The trainings of each image set: enough epochs for a network that is usable, few enough for some minutes in all.
TRAININGS: dict[str, dict[str, dict[str, Any]]] = {
    "digits": {"lenet": {"epochs": 12, "batch_size": 64, "learning_rate": 0.01}},
    "cifar": {
        "lenet": {"epochs": 12, "batch_size": 64, "learning_rate": 0.01},
        "resnet18": {"epochs": 8, "batch_size": 64, "learning_rate": 0.02},
    },
}
LEFT_OUT = 2  # categories, the last ones
LEAVES_OUT = ("lenet",)
CALIBRATION = (
    "images",
    "network",
    "engine",
    "accuracy",
    "temperature",
    "ECE before",
    "ECE after",
    "lower in",
    "T = 1 in",
)
UNKNOWN = ("images", "network", "accuracy", "threshold", "answered", "right of these", "unknown called unsure")


def main() -> int:
    options = _options()
    chosen = [(images, network) for images in options.only.split(",") for network in TRAININGS[images]]
    _print(CALIBRATION, ["---"] * len(CALIBRATION))
    for images, network in chosen:
        for engine in options.engines.split(","):
            found = held_out(_scored(options, images, network, engine, 0))
            assert not found.changed, "calibration changed a prediction"  # nosec B101 (a benchmark)
            _print([images, network, engine, *_calibration_cells(found)])
    _print([], UNKNOWN, ["---"] * len(UNKNOWN))
    for images, network in chosen:
        if network in LEAVES_OUT:
            found = held_out(_scored(options, images, network, options.engines.split(",")[0], LEFT_OUT))
            _print([images, network, *_unknown_cells(found)])
    return 0


def _calibration_cells(found: HeldOut) -> list[str]:
    percents = (found.before, found.after)
    shares = (found.lower, found.kept)
    return [
        f"{found.accuracy:.1%}",
        f"{found.temperature:.2f}",
        *(f"{value:.1%}" for value in percents),
        *(f"{value:.0%}" for value in shares),
    ]


def _unknown_cells(found: HeldOut) -> list[str]:
    shares = (found.answered, found.right, found.unknown_unsure)
    return [f"{found.accuracy:.1%}", f"{found.threshold:.3f}", *(f"{value:.1%}" for value in shares)]


def _print(*rows: Any) -> None:
    for cells in rows:
        print(f"| {' | '.join(cells)} |" if cells else "", flush=True)


def _scored(options: argparse.Namespace, images: str, network: str, engine: str, left_out: int) -> Scored:
    stored = options.scores and options.scores / f"{images}-{network}-{engine}-{left_out}.npz"
    if stored and stored.exists():
        with np.load(stored) as arrays:
            return Scored(arrays["scores"], arrays["truths"], arrays["unknown"])
    scored = _trained(options.data, images, network, engine, left_out)
    if stored:
        np.savez(stored, scores=scored.scores, truths=scored.truths, unknown=scored.unknown)
    return scored


def _trained(data: Path, images: str, network: str, engine: str, left_out: int) -> Scored:
    found = IMAGE_SETS[images]
    python = os.environ.get("DIGITS_TORCH_PYTHON", "") if engine == "torch" else ""
    with TemporaryDirectory() as scratch:
        fold = next(found.folds(data / found.archive, Path(scratch), 1))
        pixels = read_fold(fold, found.fields)
        known = int(pixels[0].labels.max()) + 1 - left_out
        training = TRAININGS[images][network] | {"engine": engine, "threads": 2}
        return scores_of(Path(scratch, "training"), network, python, training, pixels, known)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.calibration",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("BENCH_DATA", "")))
    parser.add_argument("--only", default=",".join(TRAININGS), metavar="SETS", help="some of digits, cifar")
    parser.add_argument("--engines", default="mxnet,torch", help="mxnet, torch, or both, joined by a comma")
    parser.add_argument("--scores", type=Path, help="a folder that keeps scores, so that a second run trains nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
