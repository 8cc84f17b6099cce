"""The further keys of a model's JSON in the wire format of DIGITS."""

from typing import Any

from digits_project import __version__
from digits_project.api import wire_format
from models_app.models import TrainedModel
from models_app.results import NEWEST
from models_app.training.engines import AUTO

MEAN_FILE, LABELS_FILE, NETWORK_FILE = "mean.npy", "labels.txt", "network.prototxt"


def digits_keys(model: TrainedModel) -> dict[str, Any]:
    """DIGITS's keys, as its clients read them; {} in the documented wire format.

    `mean file` and `labels file` are names in the dataset's folder, `snapshot file` is a path in the model's, and
    `model file` is the name of the network in a downloaded archive.
    """
    if not wire_format.is_of_digits():
        return {}
    dataset, newest = model.dataset, model.snapshot_at(NEWEST)
    labels = {"labels file": LABELS_FILE} if dataset.categories else {}
    return {
        "job id": model.pk,
        "creation time": f"{model.created_at:%Y-%m-%d %H:%M:%S.%f}",
        "username": model.owner,
        "image dimensions": [dataset.resize_height, dataset.resize_width, dataset.resize_channels],
        "image resize mode": dataset.resize_mode,
        "mean file": MEAN_FILE,
        **labels,
        "snapshot file": str(newest.onnx_file.relative_to(model.directory)) if newest else None,
        "model file": NETWORK_FILE,
        "framework": framework_of(model),
        "mean subtraction": model.use_mean,
        "digits version": __version__,
    }


def framework_of(model: TrainedModel) -> str:
    """DIGITS's word for what trains a model: the engine that trained it, else the requested one."""
    return model.engine_used.partition(" ")[0] or (model.framework if model.engine == AUTO else model.engine)
