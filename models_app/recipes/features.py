"""The recipe `features`: only the head is trained, on what a pretrained network computes for the images."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from models_app.recipes import from_weights
from models_app.recipes.recipe import Recipe, Situation


def _by_situation(situation: Situation) -> Mapping[str, Any]:
    """A head that can't be trained on features is trained on the images."""
    return {} if situation.has_features else {"feature_views": 0}


FEATURES = Recipe(
    "features",
    "Trains only the last layer, on the features that a pretrained network computes for the images: seconds.",
    measured="82.3 % of 600 photos in ten categories, in 9 s on two cores",
    values={
        "train_layers": "head",
        "feature_views": 1,
        "solver_type": "ADAMW",
        "learning_rate": 0.003,
        "weight_decay": 0.05,
        "lr_policy": "cosine",
        "train_epochs": 30,
        "snapshot_interval": 5,
        "val_interval": 5,
    },
    by_situation=_by_situation,
    network=from_weights.installed,
    requires={"train_layers": ("head",)},
    refusal=partial(from_weights.refusal, "features"),
)
