"""Rows without a build or a training: datasets with categories only, snapshots with random weights."""

import json
from pathlib import Path

import numpy as np

from datasets.models import Dataset
from digits_project.jobs.models import Status
from models_app.models import Snapshot
from models_app.networks.export.network_onnx import write_onnx
from models_app.training.snapshots.onnx_arrays import onnx_weights
from models_app.training.snapshots.snapshot_reader import sha256

DIGITS = [str(digit) for digit in range(10)]


def add_snapshot(model, epoch, seed, network=None, mean=None):
    """A snapshot with random weights of `network`, or of the model's own."""
    snapshot = Snapshot.objects.create(trained_model=model, epoch=epoch, folder=f"snapshots/epoch-{epoch:g}")
    snapshot.directory.mkdir(parents=True)
    network = network or model.network()
    weights = network.initial_weights(seed)
    dataset = model.dataset
    write_onnx(network, weights, snapshot.onnx_file, mean, dataset.categories, image_shape=dataset.image_shape)
    digests = {snapshot.onnx_file.name: sha256(snapshot.onnx_file)}
    (snapshot.directory / "snapshot.json").write_text(json.dumps({"network": network.to_dict(), "sha256": digests}))
    return snapshot


def move_weights_apart(snapshot):
    """Give a snapshot all its weights in weights.npz too, as earlier versions wrote it; return that file."""
    apart = snapshot.directory / "weights.npz"
    np.savez(apart, **onnx_weights(snapshot.onnx_file))
    description = json.loads((snapshot.directory / "snapshot.json").read_text())
    description["sha256"][apart.name] = sha256(apart)
    (snapshot.directory / "snapshot.json").write_text(json.dumps(description))
    return apart


def with_categories(dataset, categories=DIGITS):
    """The dataset with the categories of a built one. Inference needs these, and no records."""
    Dataset.objects.filter(pk=dataset.pk).update(categories=categories)
    dataset.refresh_from_db()
    return dataset


def as_generic(dataset, image_shape=(1, 10, 10), label_shape=(2, 1, 1)):
    """The dataset with the fields of a generic one that is Done."""
    channels, height, width = image_shape
    size = {"resize_channels": channels, "resize_height": height, "resize_width": width}
    Dataset.objects.filter(pk=dataset.pk).update(
        kind="generic", method="prebuilt", status=Status.DONE, label_shape=label_shape, **size
    )
    dataset.refresh_from_db()
    return dataset


def write_weights(folder: Path, network, seed=0) -> dict:
    """Write random weights of a network as weights.npz of a snapshot; return the arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = network.initial_weights(seed)
    np.savez(folder / "weights.npz", **weights)
    return weights


def image_list(*lines, end="\n"):
    """The content of an image_list, as clients upload it."""
    return end.join(str(line) for line in lines).encode() + end.encode()
