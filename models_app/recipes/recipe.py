"""Recipe and Situation: what a recipe fills in, and what it is chosen by. The registry of recipes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from digits_project.common import declarations

NO_CLASSIFIER = "recipe={} trains classifiers only. Leave the recipe out, or take classic."
MAX_NAME = 20  # characters: the length of the column `recipe`
SEVERAL = re.compile(r"\.\.|,")  # between the values of a range or a list
COLORS = 3  # channels of the images that installed weights were trained on
# The values of `method`, of which each has the field that names the network.
STANDARD, PREVIOUS, PRETRAINED, CUSTOM = "standard", "previous", "pretrained", "custom"
NETWORK_FIELDS = {
    STANDARD: "standard_networks",
    PREVIOUS: "previous_networks",
    PRETRAINED: "pretrained_networks",
    CUSTOM: "custom_network",
}


@dataclass(frozen=True)
class Situation:
    """What is known when a form is filled in.

    sent: the fields that the user filled in, under the form's names.
    is_classifier: whether the model gives scores to categories.
    image_shape: channels, height and width of the dataset's images; None: they are not known.
    images: the number of images to train on; None: the dataset is not Done.
    has_gpu: whether a training can get a GPU.
    weights: the names of the weights that are installed where trainings run.
    has_features: whether the head of the chosen network can be trained on features.
    """

    sent: Mapping[str, Any] = field(default_factory=dict)
    is_classifier: bool = True
    image_shape: tuple[int, int, int] | None = None
    images: int | None = None
    has_gpu: bool = False
    weights: tuple[str, ...] = ()
    has_features: bool = True

    @property
    def method(self) -> str:
        """The chosen method; "" if the user chose neither a method nor a network."""
        chosen = self.sent.get("method")
        return str(chosen) if chosen else next((name for name in NETWORK_FIELDS if self._names(name)), "")

    def _names(self, method: str) -> bool:
        return NETWORK_FIELDS[method] in self.sent

    @property
    def starts_from_weights(self) -> bool:
        """Whether the user chose a network with weights: for one of another model, a snapshot of it too."""
        if self.method == PREVIOUS:
            return str(self.sent.get(f"{self.sent.get('previous_networks')}-snapshot", 0)) != "0"
        return self.method == PRETRAINED or "custom_network_snapshot" in self.sent

    @property
    def validates(self) -> bool:
        """Whether the user left validations on."""
        return str(self.sent.get("val_interval", 1)).strip() not in ("0", "0.0")

    @property
    def epochs(self) -> float | None:
        """The epochs that the user asked for, the fewest of a range or a list; None: none."""
        try:
            epochs = min(map(float, SEVERAL.split(str(self.sent.get("train_epochs")).strip("[ ]"))))
        except ValueError:
            return None
        return epochs if 0 < epochs < math.inf else None

    @property
    def side(self) -> int | None:
        """The smaller side of the images in pixels; None: it is not known."""
        return min(self.image_shape[1:]) if self.image_shape else None

    @property
    def is_gray(self) -> bool:
        """Whether the images are known to have another number of channels than photos."""
        return self.image_shape is not None and self.image_shape[0] != COLORS

    @property
    def usable_weights(self) -> str:
        """The installed weights that fit the images; "" if there are none."""
        return self.weights[0] if self.weights and not self.is_gray else ""


@dataclass(frozen=True)
class Recipe:
    """A recipe for a training.

    name: the recipe in forms and columns.
    summary: what it does, in one sentence.
    measured: what it reached where docs/choosing.md measured it; "" if that says nothing about other images.
    values: {field of the form: value as it would be posted} for fields that the user left empty.
    by_situation: the same, for fields whose values depend on the images, or on what the user sent.
    network: the same for the fields that choose the network, if the user chose none.
    requires: {field: the values that the recipe can follow}; others contradict it.
    refusal: a message that says why it can't be followed in a situation, and what to do; "" if it can.
    """

    name: str
    summary: str
    measured: str = field(default="", kw_only=True)
    values: Mapping[str, Any] = field(default_factory=dict)
    by_situation: Callable[[Situation], Mapping[str, Any]] = lambda situation: {}
    network: Callable[[Situation], Mapping[str, Any]] = lambda situation: {}
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    refusal: Callable[[Situation], str] = lambda situation: ""

    def fill(self, situation: Situation) -> dict[str, Any]:
        """The values of the fields that the user left empty."""
        network = {"method": situation.method} if situation.method else self.network(situation)
        offered = {**network, **self.values, **self.by_situation(situation)}
        return {name: value for name, value in offered.items() if name not in situation.sent}

    def contradictions(self, situation: Situation) -> dict[str, str]:
        """{field: message} of the values that the recipe can't follow, and why it can't be followed at all."""
        wrong = {
            name: f"recipe={self.name} needs {name} {' or '.join(allowed)}. Leave {name} empty, or take another recipe."
            for name, allowed in self.requires.items()
            if name in situation.sent and str(situation.sent[name]).strip().lower() not in allowed
        }
        refused = self.refusal(situation)
        return wrong | ({"recipe": refused} if refused else {})


RECIPES: dict[str, Recipe] = {}  # by name


def register(recipe: Recipe) -> Recipe:
    """Add a recipe, after those that are registered already."""
    return declarations.add(RECIPES, recipe, "a recipe {!r}", MAX_NAME, reserved=("auto",))


def fillable() -> set[str]:
    """The names of all fields that some recipe fills in."""
    known = Situation(image_shape=(COLORS, 1, 1))
    offers = [(recipe.values, recipe.by_situation(known), recipe.network(known)) for recipe in RECIPES.values()]
    return {name for offer in offers for values in offer for name in values}
