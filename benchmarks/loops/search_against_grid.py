"""A search against a grid at equal compute, on real digits: `python -m benchmarks.loops.search_against_grid`.

Each training is LeNet for up to six epochs on 300 images of digits, with a learning rate and a batch size; its result
is the best accuracy on 300 others. The grid has four values of each, evenly spaced in the logarithm: 96 epochs. The
search has 96 epochs too, of which it saves some by stopping poor trainings. Images and first weights depend on the
round. Exits with 1 if the search is worse in more than two rounds of ten.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from datasets.imagedb.store.payloads import encode
from datasets.imagedb.store.records import RecordWriter
from digits_project.common.errors import Aborted, BadInput
from models_app.networks import standard
from models_app.search.ranges import Dimension, Trial
from models_app.search.sampling import is_poor, next_values
from models_app.training.config import TrainConfig
from models_app.training.snapshots.snapshot_writer import EnginesDisagree
from models_app.training.trainer import train

SPACE = {
    "learning_rate": Dimension(1e-4, 1, log=True),
    "batch_size": Dimension(4, 128, log=True, whole=True),
}
SIDE = 4  # values of each in the grid
EPOCHS = 6
IMAGES = 300  # to train on, and as many for validation
MAX_WORSE = 0.2  # of the rounds


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.loops.search_against_grid",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the number of the first round, which is its seed [0]")
    options = parser.parse_args()
    rounds = options.rounds
    os.environ["OMP_NUM_THREADS"] = "1"  # so that the results depend on nothing but the seeds
    print("round  grid    search  trials", flush=True)
    results = [_round(seed) for seed in range(options.first, options.first + rounds)]
    wins = sum(search >= grid for grid, search in results)
    print(
        f"the search is at least as good in {wins} of {rounds} rounds; mean accuracy of the best: grid "
        f"{np.mean([grid for grid, _ in results]):.4f}, search {np.mean([search for _, search in results]):.4f}"
    )
    return 0 if rounds - wins <= MAX_WORSE * rounds else 1


def _round(seed: int) -> tuple[float, float]:
    """The best accuracy of the grid and of the search."""
    with tempfile.TemporaryDirectory() as folder:
        trainings = Trainings(Path(folder), seed)
        best_of_grid = max(trainings.run(values).value or 0 for values in _grid())
        epochs, trainings.epochs = trainings.epochs, 0
        trials: list[Trial] = []
        while trainings.epochs < epochs:
            values = next_values(SPACE, trials, seed, len(trials) + 1)
            trials.append(trainings.run(values, trials))
    # As search_best of a search, which can be a model that was stopped.
    best_of_search = max(value for trial in trials for value in trial.curve.values())
    print(f"{seed:5}  {best_of_grid:.4f}  {best_of_search:.4f}  {len(trials):6}", flush=True)
    return best_of_grid, best_of_search


def _grid() -> list[dict[str, float]]:
    rates, sizes = (np.geomspace(one.low, one.high, SIDE) for one in SPACE.values())
    return [{"learning_rate": float(rate), "batch_size": round(size)} for rate in rates for size in sizes]


class Trainings:
    """Trains on the digits of a round, and counts the epochs."""

    def __init__(self, folder: Path, seed: int):
        _write_digits(folder, seed)
        paths = {name: str(folder / f"{name.split('_')[0]}.rec") for name in ("train_records", "val_records")}
        paths |= {"mean_file": str(folder / "mean.npy"), "labels_file": str(folder / "labels.txt")}
        network = standard("lenet", (1, 28, 28), 10).to_dict()
        self.fixed = {"network": network, "engine": "mxnet", "epochs": EPOCHS, "snapshot_interval": 0, **paths}
        self.fixed |= {"random_seed": seed, "threads": 1}
        self.folder = folder
        self.epochs = 0

    def run(self, values: dict[str, float], others: Sequence[Trial] = ()) -> Trial:
        """Train, as long as the training is not poor in comparison with the others."""
        curve: dict[int, float] = {}

        def note(event: dict) -> None:
            if event["event"] == "metrics" and event["split"] == "val":
                curve[len(curve) + 1] = event["accuracy"]

        def stop_if_poor() -> None:
            unfinished = 0 < len(curve) < EPOCHS
            if unfinished and is_poor(others, Trial(values, is_open=True, curve=curve), EPOCHS):
                raise Aborted

        with tempfile.TemporaryDirectory(dir=self.folder) as directory, suppress(Aborted, BadInput, EnginesDisagree):
            train(TrainConfig(directory=directory, **self.fixed, **values), note, stop_if_poor)
        self.epochs += max(1, len(curve))  # one that diverges at once takes time too
        return Trial(values, value=max(curve.values()) if len(curve) == EPOCHS else None, curve=curve)


def _write_digits(folder: Path, seed: int) -> None:
    """Write the image database of a round: digits of 28×28 pixels, drawn by the seed."""
    images, labels = load_digits(return_X_y=True)
    drawn = np.random.default_rng(seed).permutation(len(images))[: 2 * IMAGES]
    pixels = np.kron((images[drawn] * 15).astype(np.uint8).reshape(-1, 8, 8, 1), np.ones((1, 4, 4, 1), np.uint8))
    pixels = pixels[:, 2:30, 2:30]
    for name, part in (("train", slice(IMAGES)), ("val", slice(IMAGES, None))):
        with RecordWriter(folder / f"{name}.rec") as writer:
            for image, label in zip(pixels[part], labels[drawn][part], strict=True):
                writer.write(float(label), encode(image, "png"))
    (folder / "labels.txt").write_text("".join(f"{i}\n" for i in range(10)))
    np.save(folder / "mean.npy", pixels[:IMAGES].mean(axis=0).transpose(2, 0, 1).astype(np.float32))


if __name__ == "__main__":
    sys.exit(main())
