"""Fills in a form by a recipe."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from models_app.recipes.auto import AUTO, choose
from models_app.recipes.recipe import RECIPES, Situation


class BadRecipe(Exception):
    """A recipe that can't be followed. `errors` has a message for each field that is the reason."""

    def __init__(self, errors: dict[str, str]):
        super().__init__(" ".join(errors.values()))
        self.errors = errors


@dataclass(frozen=True)
class Filled:
    """What a recipe did to a form.

    asked, used: the recipe that the user named, and the one that was followed; they differ for `auto`.
    values: {field: value as it would be posted} of the fields that were empty.
    reason: why auto chose it; "" for a recipe that was named.
    """

    asked: str
    used: str
    values: dict[str, Any] = field(default_factory=dict)
    reason: str = ""


def fill_in(asked: str, situation: Situation, fields: Collection[str]) -> Filled:
    """Follow a recipe for a form that has these fields. Raises BadRecipe."""
    recipe, reason = choose(situation) if asked == AUTO else (RECIPES[asked], "")
    if wrong := recipe.contradictions(situation):
        raise BadRecipe(wrong)
    values = {name: value for name, value in recipe.fill(situation).items() if name in fields}
    return Filled(asked, recipe.name, values, reason)
