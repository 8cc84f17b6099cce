"""Writes models with random weights into the database and the jobs folder of a running server, for benchmarks.serving.

`python -m benchmarks.samples.serving_models` prints one JSON object: {network: {job_id, onnx_file}}. With a number it
makes so many accounts instead, and prints a list with a token of each.
"""

from __future__ import annotations

import json
import logging
import os
import sys

import django
import numpy as np

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "digits_project.settings")
django.setup()

from django.contrib.auth import get_user_model  # noqa: E402 - needs Django's apps

from datasets.models import Dataset  # noqa: E402 - needs Django's apps
from digits_project.accounts import tokens  # noqa: E402
from digits_project.common.digests import sha256  # noqa: E402
from digits_project.jobs import directory  # noqa: E402
from digits_project.jobs.models import Job, Status  # noqa: E402
from models_app.models import Snapshot, TrainedModel  # noqa: E402
from models_app.networks.export.network_onnx import write_onnx  # noqa: E402

SHAPES = {"lenet": (1, 28, 28), "resnet18": (3, 224, 224)}
CATEGORIES = [f"category {number}" for number in range(10)]
OF_VARIANCE = (".variance", ".factor")  # 0 before a training, with which outputs grow beyond all numbers


def main() -> int:
    json.dump(_accounts(int(sys.argv[1])) if len(sys.argv) > 1 else _models(), sys.stdout)
    return 0


def _accounts(count: int) -> list[str]:
    logging.disable(logging.INFO)  # the audit log's lines
    accounts = [get_user_model().objects.create_superuser(f"client{number}") for number in range(count)]
    return [tokens.issue(account, "benchmark")[1] for account in accounts]


def _models() -> dict[str, dict[str, str]]:
    written = {}
    for network, (channels, height, width) in SHAPES.items():
        size = {"resize_channels": channels, "resize_height": height, "resize_width": width}
        dataset = Dataset(name=network, categories=CATEGORIES, **size)
        _create(dataset)
        model = TrainedModel(name=network, dataset=dataset, standard_network=network, batch_size=1)
        _create(model)
        written[network] = {"job_id": model.pk, "onnx_file": str(_add_snapshot(model).onnx_file)}
    return written


def _create(job: Job) -> None:
    """Make the row of a job that is Done, and its folder."""
    claim = directory.claim()
    job.job_id, job.status = claim.job_id, Status.DONE
    job.save(force_insert=True)
    claim.settle()


def _add_snapshot(model: TrainedModel) -> Snapshot:
    snapshot = Snapshot.objects.create(trained_model=model, epoch=1, folder="snapshots/epoch-1")
    snapshot.directory.mkdir(parents=True)
    network = model.network()
    weights = {
        name: np.ones_like(array) if name.endswith(OF_VARIANCE) else array
        for name, array in network.initial_weights(1).items()
    }
    write_onnx(network, weights, snapshot.onnx_file, None, CATEGORIES, image_shape=model.dataset.image_shape)
    digests = {"sha256": {snapshot.onnx_file.name: sha256(snapshot.onnx_file)}}
    (snapshot.directory / "snapshot.json").write_text(json.dumps(digests))
    return snapshot


if __name__ == "__main__":
    sys.exit(main())
