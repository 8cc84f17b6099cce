"""The recipe `features`: only the head is trained, on what a pretrained network computes for the images."""

from functools import partial

from models_app.recipes import from_weights
from models_app.recipes.recipe import Recipe

FEATURES = Recipe(
    "features",
    "Trains only the last layer, on the features that a pretrained network computes for the images: seconds.",
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
    network=from_weights.installed,
    requires={"train_layers": ("head",)},
    refusal=partial(from_weights.refusal, "features"),
)
