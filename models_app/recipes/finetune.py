"""The recipe `finetune`: first the head, then all layers of a pretrained network at a low rate."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from models_app.recipes import from_weights
from models_app.recipes.recipe import Recipe, Situation


def _early_stopping(situation: Situation) -> Mapping[str, Any]:
    """Early stopping counts validations, so a training without any has none."""
    return {"early_stop_patience": 4} if situation.validates else {}


FINETUNE = Recipe(
    "finetune",
    "Trains the last layer of a pretrained network, then all its layers at a low rate: minutes, the best accuracy "
    "from a few hundred photos.",
    values={
        "train_layers": "all",
        "head_epochs": 10,
        "backbone_lr_factor": 0.2,
        "freeze_batch_norm": True,
        "solver_type": "ADAMW",
        "learning_rate": 0.001,
        "weight_decay": 0.05,
        "lr_policy": "cosine",
        "lr_warmup": 10,
        "label_smoothing": 0.1,
        "aug_policy": "light",
        "ema": 0.98,
        "train_epochs": 16,
        "batch_size": 16,  # all layers in batches of 32 take 8 GB
    },
    by_images=_early_stopping,
    network=from_weights.installed,
    requires={"train_layers": ("all", "blocks")},
    refusal=partial(from_weights.refusal, "finetune"),
)
