"""Trains models of a running server over REST, and measures their accuracy, time and disk."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.accuracy.image_sets import Fold, ImageSet
from tests.support.server import RunningServer, wait_until

MAX_SECONDS = 3600  # of a job


@dataclass(frozen=True)
class Training:
    """A finished training.

    best, last: accuracy on the validation images, 0 to 1, of the best epoch, which the server serves, and of the last.
    seconds: from the POST of the model to Done; it starts when the dataset is Done.
    disk: bytes of its folder.
    recipe: the recipe that was followed; with `auto` it is the chosen one.
    load: the machine's load average when it ended.
    """

    best: float
    last: float
    seconds: float
    disk: int
    recipe: str
    load: float


def create_dataset(server: RunningServer, images: ImageSet, fold: Fold) -> str:
    """Create a dataset, and return its id once it is Done."""
    folders = {"folder_train": str(fold.train), "has_val_folder": True, "folder_val": str(fold.val)}
    job = server.create_job(
        "/datasets/images/classification.json", dataset_name=images.name, **folders, **images.fields
    )
    _finish(server, job)
    return job


def train(server: RunningServer, dataset: str, fields: Mapping[str, Any]) -> Training:
    """Train a model with these fields of the form."""
    began = time.perf_counter()
    job = server.create_job(
        "/models/images/classification.json", model_name="accuracy", dataset=dataset, random_seed=1, **fields
    )
    _finish(server, job)
    seconds = time.perf_counter() - began
    accuracies = _accuracies(server, job)
    folder = server.home / "jobs" / job
    disk = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    shown = server.json(f"/models/{job}.json")
    recipe, load = str(shown.get("recipe_used", "classic")), round(os.getloadavg()[0], 1)
    return Training(max(accuracies), accuracies[-1], seconds, disk, recipe, load)


def _finish(server: RunningServer, job: str) -> None:
    status = wait_until(lambda: _ended(server, job), MAX_SECONDS)
    if status != "Done":
        raise RuntimeError(f"job {job} ended with {status}: {server.json(f'/jobs/{job}/status')}")


def _ended(server: RunningServer, job: str) -> str:
    status = server.job_status(job)
    return status if status in ("Done", "Error", "Aborted") else ""


def _accuracies(server: RunningServer, job: str) -> list[float]:
    """The accuracy of each validation, 0 to 1."""
    body = server.request("GET", f"/models/{job}/metrics.csv")[1].decode()
    rows = csv.DictReader(io.StringIO(body))
    return [float(row["accuracy"]) for row in rows if row["split"] == "val" and row["accuracy"]]
