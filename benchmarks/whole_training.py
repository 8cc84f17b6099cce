"""Training speed of the whole trainer process over an image database, against a bare MXNet loop.

Both train LeNet with the same batch size, solver and threads. The trainer reads records, shuffles, follows the
schedule, measures loss and accuracy, reports, validates and takes verified snapshots; the bare loop does nothing but
train on batches that lie in memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks.loops.rounds import DEFAULT_THREADS, Loop
from benchmarks.report import Row, against
from datasets.imagedb.store.payloads import encode
from datasets.imagedb.store.records import RecordWriter
from digits_project.common.resources import usable_cores
from models_app.networks import standard
from models_app.training.config import TrainConfig

SIZE, CHANNELS, BATCH = 28, 1, 64
IMAGES, VAL_IMAGES, EPOCHS = 12_000, 1_200, 5
BARE_SECONDS = 5


def rows(rounds: int) -> Iterator[Row]:
    """The training alone, and with its validations and snapshots."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(usable_cores())}
    bare = [sys.executable, "-m", "benchmarks.loops.bare_mxnet_loop", *map(str, (SIZE, BATCH, CHANNELS))]
    training, everything = [], []
    with tempfile.TemporaryDirectory() as folder, Loop(bare, environment | DEFAULT_THREADS) as anchor:
        config = _prepare(Path(folder))
        for number in range(rounds):
            first = anchor.images_per_second(BARE_SECONDS) if number % 2 == 0 else None
            timing = Timing(config, environment)
            speed = first or anchor.images_per_second(BARE_SECONDS)
            training.append((IMAGES * EPOCHS / timing.training_seconds, speed))
            everything.append((IMAGES * EPOCHS / timing.seconds, speed))
    title = f"train lenet {SIZE}, whole trainer"
    yield against(title, "images/s", "bare MXNet", training, 0.97)
    yield against(f"{title}, validation, snapshots", "images/s", "bare MXNet", everything, 0.93)


class Timing:
    """One run of the trainer process, timed by its events: where each second went."""

    def __init__(self, config: Path, environment: dict[str, str]) -> None:
        self.validation_seconds = self.snapshot_seconds = 0.0
        command = [sys.executable, "-m", "models_app.training", str(config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
            began = last = time.perf_counter()
            for line in process.stdout or ():
                now, event = time.perf_counter(), json.loads(line)
                if event["event"] == "started":
                    began = now
                elif event["event"] == "snapshot":
                    self.snapshot_seconds += now - last
                elif event.get("split") == "val":
                    self.validation_seconds += now - last
                if event["event"] in ("metrics", "snapshot"):
                    last = now
            errors = process.stderr.read().decode() if process.stderr else ""
        if process.returncode:
            raise RuntimeError(f"the trainer ended with {process.returncode}:\n{errors}")
        self.seconds = last - began
        self.training_seconds = self.seconds - self.validation_seconds - self.snapshot_seconds


def _prepare(folder: Path) -> Path:
    """Records of scikit-learn's digits, repeated as often as it takes; returns the path of a configuration."""
    images, labels = _digits()
    _write_records(folder / "train.rec", images, labels, IMAGES)
    _write_records(folder / "val.rec", images, labels, VAL_IMAGES)
    np.save(folder / "mean.npy", images.mean(axis=0, dtype=np.float32).transpose(2, 0, 1))
    (folder / "labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)))
    config = TrainConfig(
        network=standard("lenet", (CHANNELS, SIZE, SIZE), 10).to_dict(),
        train_records=str(folder / "train.rec"),
        val_records=str(folder / "val.rec"),
        mean_file=str(folder / "mean.npy"),
        labels_file=str(folder / "labels.txt"),
        directory=str(folder),
        epochs=EPOCHS,
        batch_size=BATCH,
        random_seed=1,
    )
    (folder / "config.json").write_text(config.to_json())
    return folder / "config.json"


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """The 1,797 digits as uint8 n×H×W×C, and their labels."""
    digits = load_digits()
    pixels = np.clip(digits.images * 16, 0, 255).astype(np.uint8)
    bilinear = Image.Resampling.BILINEAR
    resized = [np.asarray(Image.fromarray(image).resize((SIZE, SIZE), bilinear)) for image in pixels]
    return np.repeat(np.stack(resized)[..., np.newaxis], CHANNELS, axis=3), digits.target


def _write_records(path: Path, images: np.ndarray, labels: np.ndarray, count: int) -> None:
    payloads = [encode(image, "png") for image in images]
    with RecordWriter(path) as records:
        for number in range(count):
            records.write(float(labels[number % len(labels)]), payloads[number % len(payloads)])
