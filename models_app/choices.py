"""The choices of a model's columns: methods, names of networks, engines and solvers."""

from django.db import models

from models_app import recipes
from models_app.networks import STANDARD
from models_app.training import engines
from models_app.training.hyperparameters import SOLVERS
from models_app.training.learning_rate import POLICIES

MAX_GPUS = 64


class NetworkMethod(models.TextChoices):
    STANDARD = "standard", "a published network"
    PREVIOUS = "previous", "the network of another model"
    PRETRAINED = "pretrained", "a network with weights that were trained elsewhere"
    CUSTOM = "custom", "your own network, as Caffe prototxt"


NETWORK_COLUMNS: dict[str, str] = {
    NetworkMethod.STANDARD: "standard_network",
    NetworkMethod.PREVIOUS: "previous",
    NetworkMethod.PRETRAINED: "pretrained_networks",  # a property
    NetworkMethod.CUSTOM: "custom_network",
}


def _choices(names) -> list[tuple[str, str]]:
    return [(name, name) for name in names]


# Functions, so that the tables need no migration for a new engine or network.
def standard_networks():
    return _choices(STANDARD)


def frameworks():
    return _choices(["mxnet"])  # DIGITS's field, whose values all mean the same here; see engine_names


def engine_names():
    return _choices([engines.AUTO, *engines.ENGINES])


def recipe_names():
    return _choices(recipes.NAMES)


def solver_types():
    return _choices(SOLVERS)


def lr_policies():
    return _choices(POLICIES)
