"""Snapshots with random weights, for the tests of inference."""

import json

import numpy as np

from datasets.models import Dataset
from models_app.models import Snapshot
from models_app.networks.export.network_onnx import write_onnx
from models_app.training.snapshots.snapshot_reader import sha256

DIGITS = [str(digit) for digit in range(10)]


def add_snapshot(model, epoch, seed, network=None, mean=None):
    """A snapshot with random weights, of the model's own network or of another."""
    snapshot = Snapshot.objects.create(trained_model=model, epoch=epoch, folder=f"snapshots/epoch-{epoch:g}")
    snapshot.directory.mkdir(parents=True)
    network = network or model.network()
    weights = network.initial_weights(seed)
    dataset = model.dataset
    write_onnx(network, weights, snapshot.onnx_file, mean, dataset.categories, image_shape=dataset.image_shape)
    np.savez(snapshot.directory / "weights.npz", **weights)
    digests = {path.name: sha256(path) for path in (snapshot.onnx_file, snapshot.weights_file)}
    (snapshot.directory / "snapshot.json").write_text(json.dumps({"network": network.to_dict(), "sha256": digests}))
    return snapshot


def categorized(dataset, categories=DIGITS):
    """The dataset as if it had been built: inference needs to know the categories, not the records."""
    Dataset.objects.filter(pk=dataset.pk).update(categories=categories)
    dataset.refresh_from_db()
    return dataset


def list_of(*lines, end="\n"):
    """An image_list as clients upload it."""
    return end.join(str(line) for line in lines).encode() + end.encode()
