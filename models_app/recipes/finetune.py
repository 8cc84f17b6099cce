"""The recipe `finetune`: first the head, then all layers of a pretrained network at a low rate."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from models_app.recipes import from_weights
from models_app.recipes.recipe import Recipe, Situation

EPOCHS, HEAD_EPOCHS = 16, 10


def _by_situation(situation: Situation) -> Mapping[str, Any]:
    """Early stopping counts validations, so a training without any has none. A shorter training divides its epochs in
    the same proportion: the head alone must not take all of them."""
    patience = {"early_stop_patience": 4} if situation.validates else {}
    share = min(situation.epochs or EPOCHS, EPOCHS) / EPOCHS
    return {"head_epochs": int(HEAD_EPOCHS * share), **patience}


FINETUNE = Recipe(
    "finetune",
    "Trains the last layer of a pretrained network, then all its layers at a low rate: minutes, the best accuracy "
    "from a few hundred photos.",
    measured="87.3 % of 600 photos in ten categories, in 182 s on two cores",
    values={
        "train_layers": "all",
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
        "train_epochs": EPOCHS,
        "batch_size": 16,  # all layers in batches of 32 take 8 GB
    },
    by_situation=_by_situation,
    network=from_weights.installed,
    requires={"train_layers": ("all", "blocks")},
    refusal=partial(from_weights.refusal, "finetune"),
)
