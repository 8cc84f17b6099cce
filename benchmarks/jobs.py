"""Whole short jobs, from the POST of a folder of photos to a trained model, against a PyTorch script."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from benchmarks.loops.rounds import ROOT, TORCH_PYTHON
from benchmarks.report import NO_TORCH, LeftOut, Row, against
from digits_project.common.resources import usable_cores
from tests.support.server import RunningServer, wait_until
from tests.support.services import temporary_home

CATEGORIES = 8
EACH = 75
PHOTO_SIZE = 300

# network, image size, batch size, epochs
JOBS = (("resnet18", 64, 32, 6), ("lenet", 32, 64, 20))


def rows(rounds: int) -> Iterator[Row | LeftOut]:
    """A row for each network."""
    titles = [f"whole job, {network} {size}, {epochs} epochs" for network, size, _, epochs in JOBS]
    if not TORCH_PYTHON:
        yield from (LeftOut(f"{title}, against the PyTorch script", NO_TORCH) for title in titles)
        return
    with TemporaryDirectory() as scratch, temporary_home() as home, RunningServer(home, 0) as server:
        photos = write_photos(Path(scratch) / "photos")
        for title, arguments in zip(titles, JOBS, strict=True):
            seconds = [(server_job(server, photos, *arguments), torch_job(photos, *arguments)) for _ in range(rounds)]
            pairs = [(60 / ours, 60 / theirs) for ours, theirs in seconds]
            yield against(title, "jobs/min", "the PyTorch script", pairs, 1.0)


def server_job(server: RunningServer, photos: Path, network: str, size: int, batch_size: int, epochs: int) -> float:
    """Seconds from the POST of the dataset to the status Done of the model."""
    began = time.perf_counter()
    shape = {"resize_width": size, "resize_height": size, "resize_channels": 3}
    dataset = server.create_job(
        "/datasets/images/classification.json", dataset_name="photos", folder_train=str(photos), **shape
    )
    fields = {"dataset": dataset, "standard_networks": network, "train_epochs": epochs, "batch_size": batch_size}
    model = server.create_job("/models/images/classification.json", model_name=network, use_mean="pixel", **fields)
    status = wait_until(lambda: _ended(server, model), 600)
    if status != "Done":
        raise RuntimeError(f"the training failed: {server.json(f'/models/{model}.json')}")
    return time.perf_counter() - began


def _ended(server: RunningServer, job: str) -> str:
    """The status of a job that has ended, else ""."""
    status = server.job_status(job)
    return status if status in ("Done", "Error") else ""


def torch_job(photos: Path, network: str, size: int, batch_size: int, epochs: int) -> float:
    """Seconds of the script, from its start to its end."""
    numbers = [str(number) for number in (size, batch_size, epochs, usable_cores())]
    with TemporaryDirectory() as out:
        command = [TORCH_PYTHON, "-m", "benchmarks.loops.torch_job", str(photos), network, *numbers, out]
        environment = {**os.environ, "OMP_NUM_THREADS": str(usable_cores())}
        began = time.perf_counter()
        subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)
        return time.perf_counter() - began


def write_photos(folder: Path) -> Path:
    """600 JPEG photos: crops of scikit-learn's two photos, turned by 0 to 270 degrees, which makes the category."""
    rng = np.random.default_rng(0)
    photos = load_sample_images().images
    for category in range(CATEGORIES):
        (folder / str(category)).mkdir(parents=True)
        whole = Image.fromarray(np.rot90(photos[category % len(photos)], category // len(photos)))
        for number in range(EACH):
            left, top = (int(rng.integers(0, side - PHOTO_SIZE)) for side in whole.size)
            crop = whole.crop((left, top, left + PHOTO_SIZE, top + PHOTO_SIZE))
            crop.save(folder / str(category) / f"{number}.jpg", quality=90)
    return folder
