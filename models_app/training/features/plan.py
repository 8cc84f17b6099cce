"""Decides whether a training runs on features."""

from __future__ import annotations

from models_app.networks import BadNetwork, Network
from models_app.networks.fine_tuning import HEAD
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.features.division import NetworkParts, divide
from models_app.training.hyperparameter_declaration import BadHyperparameter


def planned_parts(
    network: Network, train_layers: str, feature_views: int | None, augmentation: Augmentation
) -> NetworkParts | None:
    """The two parts of the network, as tuned() returns it, if the training runs on features; else None.

    Raises BadHyperparameter if views are wanted, but the network can't be divided, or images are changed at random.
    Without a wish it is trained whole then.
    """
    if train_layers != HEAD or feature_views == 0:
        return None
    if cause := augmentation.image_cause:
        if feature_views is None:
            return None
        problem = f"{cause} changes images at random, so their features can't be kept; take feature_views 0"
        raise BadHyperparameter("feature_views", problem)
    try:
        return divide(network)
    except BadNetwork as wrong:
        if feature_views is None:
            return None
        problem = f"the head can't be trained on features: {wrong}; take feature_views 0"
        raise BadHyperparameter("feature_views", problem) from wrong
