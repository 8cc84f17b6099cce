"""Decides whether a training runs on features."""

from __future__ import annotations

from digits_project.common.resources import gibibytes
from models_app.networks import BadNetwork, Network
from models_app.networks.fine_tuning import HEAD
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.features.division import NetworkParts, divide
from models_app.training.hyperparameter_declaration import BadHyperparameter

MAX_BYTES = 4 << 30  # of all features of one dataset
FEATURE_BYTES = 4


def planned_parts(
    network: Network, train_layers: str, feature_views: int | None, augmentation: Augmentation
) -> NetworkParts | None:
    """The two parts of the network, as tuned() returns it, if the training runs on features; else None.

    Raises BadHyperparameter if views are wanted, but the network can't be divided, or the augmentation has no effect on
    so many views. Without a wish it is trained whole then.
    """
    if not wants_features(train_layers, feature_views, augmentation):
        return None
    if feature_views and (cause := augmentation.image_cause):
        _check_augmentation(augmentation, cause, feature_views)
    try:
        return divide(network)
    except BadNetwork as wrong:
        if feature_views is None:
            return None
        problem = f"the head can't be trained on features: {wrong}; take feature_views 0"
        raise BadHyperparameter("feature_views", problem) from wrong


def wants_features(train_layers: str, feature_views: int | None, augmentation: Augmentation) -> bool:
    """Whether a training runs on features, if its network can be divided."""
    if train_layers != HEAD or feature_views == 0:
        return False
    return feature_views is not None or not augmentation.image_cause


def check_room(images: int, views: int, size: int) -> None:
    """Raise BadHyperparameter if so many images, each with `views` times `size` features, take more than MAX_BYTES."""
    needed = FEATURE_BYTES * images * views * size
    if needed > MAX_BYTES:
        whole = f"the features of {images:,} images would take {gibibytes(needed)}, more than {gibibytes(MAX_BYTES)}"
        raise BadHyperparameter("feature_views", f"{whole}; take fewer feature_views, or 0 to compute them each time")


def _check_augmentation(augmentation: Augmentation, cause: str, feature_views: int) -> None:
    if augmentation.mixes_images:
        problem = "images are mixed in every batch anew, so their features can't be kept; take feature_views 0"
        raise BadHyperparameter("feature_views", problem)
    if feature_views == 1:
        problem = f"the only view of an image is its middle crop, without {cause}; take 2 feature_views or more, or 0"
        raise BadHyperparameter("feature_views", problem)
