"""The catalogue of timm's classifiers: a file of facts that tools/make_timm_catalogue.py writes with timm itself."""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from models_app.networks.layer import BadNetwork
from models_app.networks.normalization import Normalization
from models_app.networks.resizing import Resizing

PREFIX = "timm/"  # of the names, where those of the standard networks are allowed too
CATALOGUE = Path(__file__).with_name("catalogue.json")
MAX_NEAR = 5  # names in a message
LEAST_LIKENESS = 0.6
MAX_SHOWN = 60  # characters of an unknown name
LISTED = "GET /models/timm_networks.json lists all names, and the page that adds a model completes them"
ONLY_ITS_OWN = 0  # as `size_step`
WHOLE = 255  # of a pixel, which timm counts from 0 to 1


@dataclass(frozen=True)
class PublishedWeights:
    """Weights that timm publishes for a network.

    tag: timm's name for them. hub: the repository on the Hugging Face hub; "" if there is none.
    categories: how many they tell apart; 0: they have no head. licence: as timm states it; "" if it doesn't.
    """

    tag: str
    hub: str
    categories: int
    licence: str


@dataclass(frozen=True)
class TimmFacts:
    """What is known of one of timm's classifiers without building it.

    name: timm's. size: the side of the images that it was designed for, in pixels.
    mean, std, crop, interpolation: how timm prepares images of pixels from 0 to 1.
    size_step: its images can have `smallest` pixels a side, and every so many more; ONLY_ITS_OWN: the
        only size is its own.
    is_built_for_size: whether timm must get another size when it builds the network.
    parameters, per_category: the number of learned numbers without a head, and in the head for each category.
    tensors: the names of its first and its last tensor below the head, by which a file of weights is recognized.
    classifier: the modules of the head. blocks: how many blocks it has below (TimmNetwork.trained_blocks).
    features: how many numbers its head, if that is one linear layer, reads of an image; 0: it is another head.
    multiplications, work, values: the costs of an image of its size, as NetworkCosts counts them.
    kept: how many numbers of such an image a training keeps until its backward pass.
    weights: those that timm publishes.
    """

    name: str
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop: float
    interpolation: str
    size_step: int
    smallest: int
    parameters: int
    per_category: int
    tensors: tuple[str, ...]
    classifier: tuple[str, ...]
    blocks: int
    multiplications: int
    work: int
    values: int
    kept: int = 0
    features: int = 0
    is_built_for_size: bool = False
    weights: tuple[PublishedWeights, ...] = ()

    @property
    def normalization(self) -> Normalization:
        return Normalization(*(tuple(round(WHOLE * one, 4) for one in values) for values in (self.mean, self.std)))

    @property
    def resizing(self) -> Resizing:
        return Resizing(self.crop, self.interpolation)

    def takes(self, height: int, width: int) -> bool:
        """Whether the network can be built for images of this size."""
        if self.size_step == ONLY_ITS_OWN:
            return height == width == self.size
        return all(side == self.size or _is_step(side, self.smallest, self.size_step) for side in (height, width))

    def next_size(self, side: int) -> int:
        """The smallest size from `side` on that the network takes."""
        return next((one for one in range(side, self.size) if self.takes(one, one)), self.size)

    def sizes(self) -> str:
        """The sizes of images that the network takes, in words."""
        if self.size_step == ONLY_ITS_OWN:
            return f"{self.size}×{self.size} only"
        multiples = f" in steps of {self.size_step}" if self.size_step > 1 else ""
        return f"at least {self.smallest}×{self.smallest}{multiples}"


def facts_of(name: str) -> TimmFacts:
    """The facts of a network, by timm's name for it. Raises BadNetwork for an unknown name, with those like it."""
    found = _catalogue()["networks"].get(name)
    if found is None:
        near = near_names(name)
        like = f"; there are {', '.join(PREFIX + one for one in near)}" if near else ""
        raise BadNetwork(f"timm {version()} has no classifier {name[:MAX_SHOWN]!r}{like}. {LISTED}")
    return _facts(name, found)


def is_timm(name: str) -> bool:
    """Whether a name of a network means one of timm's, known or not."""
    return name.startswith(PREFIX)


def names() -> list[str]:
    """timm's names of all networks, sorted."""
    return list(_catalogue()["networks"])


def version() -> str:
    """The version of timm that the facts are of."""
    return str(_catalogue()["timm"])


def near_names(name: str) -> list[str]:
    """The names most like this one, without the tag that weights have: this itself, or the first ones that contain it,
    else similar ones."""
    wanted = name[:100].lower().partition(".")[0]
    if wanted in names():
        return [wanted]
    found = [one for one in names() if wanted and wanted in one]
    return (found or difflib.get_close_matches(wanted, names(), MAX_NEAR, LEAST_LIKENESS))[:MAX_NEAR]


@cache
def _catalogue() -> dict[str, Any]:
    return dict(json.loads(CATALOGUE.read_text(encoding="utf-8")))


def _facts(name: str, found: dict[str, Any]) -> TimmFacts:
    fields: dict[str, Any] = {
        field: tuple(value) if isinstance(value, list) else value for field, value in found.items()
    }
    fields["weights"] = tuple(_published(name, tag, *facts) for tag, facts in found["weights"].items())
    return TimmFacts(name, **fields)


def usual_hub(name: str, tag: str) -> str:
    """The repository that has the weights of a tag, unless the catalogue names another."""
    return f"{PREFIX}{name}.{tag}"


def _published(name: str, tag: str, categories: int, licence: str, hub: str | None = None) -> PublishedWeights:
    return PublishedWeights(tag, usual_hub(name, tag) if hub is None else hub, categories, licence)


def _is_step(side: int, smallest: int, step: int) -> bool:
    return side >= smallest and (side - smallest) % step == 0
