"""What may be asked of a trained model."""

from pathlib import Path
from typing import BinaryIO

from datasets.imagedb import images
from inference import cache
from inference.predictor import ranked
from models_app.models import Snapshot, TrainedModel

NEWEST = -1
SAME_EPOCH = 1e-4  # two epochs nearer than this are the same: clients print them rounded


class NoSnapshot(Exception):
    """The model has no snapshot yet."""


class NoSuchSnapshot(Exception):
    """The model has snapshots, but none of that epoch."""


def choose_snapshot(model: TrainedModel, epoch: float | None = None) -> Snapshot:
    """The snapshot of an epoch, or the newest (None or -1). Raises NoSnapshot or NoSuchSnapshot."""
    newest = model.newest_snapshot
    if newest is None:
        raise NoSnapshot(f"{model.name} is {model.status} and has no snapshot yet.")
    if epoch is None or epoch == NEWEST:
        return newest
    snapshot = model.snapshots.filter(epoch__range=(epoch - SAME_EPOCH, epoch + SAME_EPOCH)).first()
    if snapshot is None:
        there = ", ".join(f"{e:g}" for e in model.snapshots.order_by("epoch").values_list("epoch", flat=True))
        raise NoSuchSnapshot(f"{model.name} has no snapshot of epoch {epoch:g}; it has {there}.")
    return snapshot


def classify(snapshot: Snapshot, image: Path | BinaryIO) -> list[tuple[str, float]]:
    """[(category, percent)] of one image, best first, at most five. Raises imagedb.BadImage.

    The image goes the way of the training images: the same decoder, the same resize; mean and softmax are in the model.
    """
    dataset = snapshot.trained_model.dataset
    pixels = images.read_array(
        image, dataset.resize_width, dataset.resize_height, dataset.resize_channels, dataset.resize_mode
    )
    scores = cache.predictor(snapshot.onnx_file).scores(pixels[None])
    return ranked(scores[0], dataset.categories)
