"""Training throughput: the whole trainer over an image database, against a bare MXNet loop on synthetic data.

Both train LeNet with the same batch size, solver and threads, in alternating processes. The trainer reads records,
shuffles, follows the schedule, measures loss and accuracy, reports, validates and takes verified snapshots. The bare
loop only trains on batches in memory, and waits for the device once per epoch.

Run it with `make bench`, or `python -m benchmarks.training_throughput --help`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from benchmarks import bare_mxnet
from datasets.imagedb.images.decoding import encode
from datasets.imagedb.store.records import RecordWriter
from digits_project.common.resources import usable_cores
from models_app.networks import standard
from models_app.training.config import TrainConfig

TARGET = 0.9


def main() -> int:
    options = _parse()
    shape = (options.channels, options.size, options.size)
    environment = {**os.environ, "OMP_NUM_THREADS": str(usable_cores())}
    print(
        f"LeNet, {options.size}×{options.size}×{options.channels}, batch {options.batch_size}, {options.images} images "
        f"(+ {options.val_images} to validate), {options.epochs} epochs a round, {usable_cores()} threads"
    )
    bare, training, everything = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        config = _prepare(Path(folder), shape, options)
        for number in range(1, options.rounds + 1):
            bare.append(_bare(shape, options, environment))
            timing = Timing(config, environment)
            images = options.images * options.epochs
            training.append(images / timing.training_seconds)
            everything.append(images / timing.seconds)
            print(
                f"round {number}: bare {bare[-1]:7.0f} images/s   trainer {training[-1]:7.0f}   "
                f"with validation and snapshots {everything[-1]:7.0f}   "
                f"(validation {timing.validation_seconds:.2f} s, snapshots {timing.snapshot_seconds:.2f} s)",
                flush=True,
            )
    ratio, whole = (_median_ratio(speeds, bare) for speeds in (training, everything))
    verdict = "reached" if ratio >= TARGET else "MISSED"
    print(f"with validation and snapshots: {whole:.3f} of the bare loop")
    print(f"RATIO {ratio:.3f}: the trainer's images/s over a bare MXNet loop's, the median of {options.rounds} rounds "
          f"(target {TARGET} {verdict})")  # fmt: skip
    return 0 if ratio >= TARGET else 1


def _median_ratio(speeds: list[float], bare: list[float]) -> float:
    """The median of the ratios of each round. The machine's speed changes over minutes, hardly within a round."""
    return statistics.median(speed / base for speed, base in zip(speeds, bare, strict=True))


class Timing:
    """One run of the trainer process, timed by its events: seconds of training, validation and snapshots."""

    def __init__(self, config: Path, environment: dict[str, str]) -> None:
        self.validation_seconds = self.snapshot_seconds = 0.0
        command = [sys.executable, "-m", "models_app.training", str(config)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
            started = last = time.perf_counter()
            for line in process.stdout:
                now, event = time.perf_counter(), json.loads(line)
                if event["event"] == "started":
                    started = now
                elif event["event"] == "snapshot":
                    self.snapshot_seconds += now - last
                elif event.get("split") == "val":
                    self.validation_seconds += now - last
                if event["event"] in ("metrics", "snapshot"):
                    last = now
            errors = process.stderr.read().decode()
        if process.returncode:
            raise RuntimeError(f"the trainer ended with {process.returncode}:\n{errors}")
        self.seconds = last - started
        self.training_seconds = self.seconds - self.validation_seconds - self.snapshot_seconds


def _bare(shape: tuple[int, int, int], options: argparse.Namespace, environment: dict[str, str]) -> float:
    """Images per second of the bare loop, run in another process."""
    settings = {"shape": shape, "batch_size": options.batch_size, "images": options.images, "epochs": options.epochs}
    command = [sys.executable, "-m", bare_mxnet.__name__, json.dumps(settings)]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, check=True)
    return json.loads(run.stdout)["images_per_second"]


def _prepare(folder: Path, shape: tuple[int, int, int], options: argparse.Namespace) -> Path:
    """Write records of scikit-learn's digits, repeated to the wanted number; return the path of a configuration."""
    images, labels = _digits(shape)
    _write_records(folder / "train.rec", images, labels, options.images)
    _write_records(folder / "val.rec", images, labels, options.val_images)
    np.save(folder / "mean.npy", images.mean(axis=0, dtype=np.float32).transpose(2, 0, 1))
    (folder / "labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)))
    config = TrainConfig(
        network=standard("lenet", shape, 10).to_dict(),
        train_records=str(folder / "train.rec"),
        val_records=str(folder / "val.rec"),
        mean_file=str(folder / "mean.npy"),
        labels_file=str(folder / "labels.txt"),
        directory=str(folder),
        epochs=options.epochs,
        batch_size=options.batch_size,
        random_seed=1,
    )
    (folder / "config.json").write_text(config.to_json())
    return folder / "config.json"


def _digits(shape: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """The 1,797 digits as uint8 n×H×W×C, and their labels."""
    channels, height, width = shape
    digits = load_digits()
    pixels = np.clip(digits.images * 16, 0, 255).astype(np.uint8)
    resized = [
        np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)) for image in pixels
    ]
    return np.repeat(np.stack(resized)[..., np.newaxis], channels, axis=3), digits.target


def _write_records(path: Path, images: np.ndarray, labels: np.ndarray, count: int) -> None:
    payloads = [encode(image, "png") for image in images]
    with RecordWriter(path) as records:
        for number in range(count):
            records.write(float(labels[number % len(labels)]), payloads[number % len(payloads)])


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--val-images", type=int, default=1_200)
    parser.add_argument("--size", type=int, default=28)
    parser.add_argument("--channels", type=int, default=1, choices=(1, 3))
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=10, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
