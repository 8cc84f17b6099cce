"""How much the training of a model computes: from its hyperparameters and its dataset."""

from digits_project.jobs.models import Status
from models_app.estimates.cost_model import Workload
from models_app.models import TrainedModel
from models_app.networks.fine_tuning import HEAD
from models_app.training.engines.interface import OPTIMIZER_SLOTS
from models_app.training.features.plan import wants_features
from models_app.training.hyperparameters import Hyperparameters

SPLITS = ("train", "val")


def workload_of(model: TrainedModel, snapshot_bytes: int, has_features: bool = True) -> Workload | None:
    """The workload; None if the dataset is not Done. has_features: whether the network can be divided."""
    if model.dataset.status != Status.DONE:
        return None
    train, val = (model.dataset.entries(split) for split in SPLITS)
    chosen = model.hyperparameters
    epochs = epochs_on_images(chosen, has_features)
    validations = epochs / chosen.val_interval if chosen.val_interval else 0
    return Workload(
        trained=epochs * train,
        validated=validations * val,
        features=features_of(model) if has_features else 0,
        snapshots=model.planned_snapshots,
        snapshot_bytes=snapshot_bytes,
    )


def features_of(model: TrainedModel) -> int:
    """Of how many views of images the training computes features."""
    train, val = (model.dataset.entries(split) for split in SPLITS)
    chosen = model.hyperparameters
    views = _views(chosen)
    return train * views + val if views else 0


def solver_arrays(chosen: Hyperparameters) -> int:
    """How many numbers the solver and the average of the weights keep for each trained weight."""
    return len(OPTIMIZER_SLOTS[chosen.solver_type]) + bool(chosen.ema)


def epochs_on_images(chosen: Hyperparameters, has_features: bool = True) -> float:
    """The epochs in which the network computes images, not only the head features."""
    if not (has_features and _views(chosen)):
        return chosen.epochs
    return 0.0 if chosen.train_layers == HEAD else max(0.0, chosen.epochs - chosen.head_epochs)


def _views(chosen: Hyperparameters) -> int:
    """How many views of each image have features, if the network can be divided; 0: there are none."""
    if chosen.train_layers != HEAD:
        return 1 if chosen.head_epochs and chosen.feature_views != 0 else 0
    return (chosen.feature_views or 1) if wants_features(HEAD, chosen.feature_views, chosen) else 0
