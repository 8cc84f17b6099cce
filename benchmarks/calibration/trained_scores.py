"""Trains a standard network on some categories of an image set, and has its scores for images that it never saw."""

from __future__ import annotations

import subprocess  # nosec B404 (the trainer)
import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy.image_sets import Fold
from datasets.imagedb.images.decoding import read_array
from datasets.imagedb.store.payloads import encode
from datasets.imagedb.store.records import RecordWriter
from inference.engine.predictor import Predictor
from models_app.networks import standard
from models_app.training.config import TrainConfig
from models_app.training.pythons.launcher import trainer_command

BATCH = 64


@dataclass(frozen=True)
class Scored:
    """Scores, float32 N×categories, of images that were not trained on, and their true categories, int N; and scores of
    images of categories that the network does not know."""

    scores: np.ndarray
    truths: np.ndarray
    unknown: np.ndarray


@dataclass(frozen=True)
class Pixels:
    """Images, uint8 N×H×W×C, and the numbers of their categories."""

    images: np.ndarray
    labels: np.ndarray

    def of(self, categories: Collection[int]) -> Pixels:
        """Those of some categories."""
        chosen = np.isin(self.labels, list(categories))
        return Pixels(self.images[chosen], self.labels[chosen])


def read_pixels(folder: Path, fields: Mapping[str, Any]) -> Pixels:
    """The images of a folder with a subfolder for each category, in the size of the form's fields."""
    width, channels = int(fields["resize_width"]), int(fields.get("resize_channels", 3))
    images, labels = [], []
    for number, category in enumerate(sorted(path for path in folder.iterdir() if path.is_dir())):
        for file in sorted(category.iterdir()):
            images.append(read_array(file, width=width, height=width, channels=channels, resize_mode="squash"))
            labels.append(number)
    return Pixels(np.stack(images), np.array(labels))


def read_fold(fold: Fold, fields: Mapping[str, Any]) -> tuple[Pixels, Pixels]:
    """(training images, other images)."""
    return read_pixels(fold.train, fields), read_pixels(fold.val, fields)


def scores_of(
    folder: Path, network: str, python: str, training: Mapping[str, Any], images: tuple[Pixels, Pixels], known: int
) -> Scored:
    """Train on the first `known` categories in an empty folder, and compute the scores of all other images."""
    trained, others = images
    _train(folder, network, python, training, trained.of(range(known)), known)
    predictor = Predictor(max(folder.glob("snapshots/*/model.onnx"), key=lambda path: path.stat().st_mtime))
    familiar = others.of(range(known))
    unknown = others.of(range(known, int(others.labels.max()) + 1))
    return Scored(_scores(predictor, familiar.images), familiar.labels, _scores(predictor, unknown.images))


def _scores(predictor: Predictor, images: np.ndarray) -> np.ndarray:
    if not len(images):
        return np.zeros((0, 1), np.float32)
    return np.concatenate([predictor.scores(images[i : i + BATCH]) for i in range(0, len(images), BATCH)])


def _train(
    folder: Path, network: str, python: str, training: Mapping[str, Any], pixels: Pixels, categories: int
) -> None:
    folder.mkdir(parents=True)
    with RecordWriter(folder / "train.rec") as records:
        for image, label in zip(pixels.images, pixels.labels, strict=True):
            records.write(float(label), encode(image, "png"))
    np.save(folder / "mean.npy", pixels.images.mean(axis=0, dtype=np.float32).transpose(2, 0, 1))
    (folder / "labels.txt").write_text("".join(f"{number}\n" for number in range(categories)))
    height, width, channels = pixels.images.shape[1:]
    config = TrainConfig(
        network=standard(network, (channels, height, width), categories).to_dict(),
        train_records=str(folder / "train.rec"),
        mean_file=str(folder / "mean.npy"),
        labels_file=str(folder / "labels.txt"),
        directory=str(folder),
        snapshot_interval=0,
        random_seed=1,
        **training,
    )
    (folder / "config.json").write_text(config.to_json())
    command = trainer_command(python or sys.executable, str(folder / "config.json"))
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # nosec B603
