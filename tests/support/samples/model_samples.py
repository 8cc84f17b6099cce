"""Networks as DIGITS's own scripts send them."""

from pathlib import Path

import numpy as np

from datasets.models import Dataset
from digits_project.jobs.models import Status

# In DIGITS's conventions: no Data layer, no num_output of the last layer, stages.
CLASSIFIER = """
layer {
    name: "hidden"
    type: 'InnerProduct'
    bottom: "data"
    top: "output"
}
layer {
    name: "loss"
    type: "SoftmaxWithLoss"
    bottom: "output"
    bottom: "label"
    top: "loss"
    exclude { stage: "deploy" }
}
layer {
    name: "accuracy"
    type: "Accuracy"
    bottom: "output"
    bottom: "label"
    top: "accuracy"
    include { stage: "val" }
}
layer {
    name: "softmax"
    type: "Softmax"
    bottom: "output"
    top: "softmax"
    include { stage: "deploy" }
}
"""

REGRESSION = """
layer { name: "scale" type: "Power" bottom: "data" top: "scale" power_param { scale: 0.004 } }
layer { name: "hidden" type: "InnerProduct" bottom: "scale" top: "output" inner_product_param { num_output: 2 } }
layer {
    name: "loss" type: "EuclideanLoss" bottom: "output" bottom: "label" top: "loss"
    exclude { stage: "deploy" }
}
"""


def generic(dataset, image_shape=(1, 10, 10), label_shape=(2, 1, 1)):
    """The dataset as if it were a generic one that is Done."""
    channels, height, width = image_shape
    size = {"resize_channels": channels, "resize_height": height, "resize_width": width}
    Dataset.objects.filter(pk=dataset.pk).update(
        kind="generic", method="prebuilt", status=Status.DONE, label_shape=label_shape, **size
    )
    dataset.refresh_from_db()
    return dataset


def write_weights(folder: Path, network, seed=0) -> dict:
    """A snapshot's weights.npz of a network; the arrays."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = network.initial_weights(seed)
    np.savez(folder / "weights.npz", **weights)
    return weights
