"""Recipes: what a training does where its form was left empty. One module each, registered by name; no Django."""

from models_app.recipes.auto import AUTO, choose
from models_app.recipes.classic import CLASSIC
from models_app.recipes.features import FEATURES
from models_app.recipes.filling import BadRecipe, Filled, fill_in
from models_app.recipes.finetune import FINETUNE
from models_app.recipes.recipe import MAX_NAME, RECIPES, Recipe, Situation, fillable, register
from models_app.recipes.scratch import SCRATCH

for recipe in (CLASSIC, FEATURES, FINETUNE, SCRATCH):
    register(recipe)

NAMES = (*RECIPES, AUTO)

__all__ = [
    "AUTO",
    "MAX_NAME",
    "NAMES",
    "RECIPES",
    "BadRecipe",
    "Filled",
    "Recipe",
    "Situation",
    "choose",
    "fill_in",
    "fillable",
    "register",
]
