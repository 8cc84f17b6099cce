"""The recipe `classic`: DIGITS's own values, which are the defaults of the form."""

from models_app.recipes.recipe import Recipe

CLASSIC = Recipe("classic", "DIGITS's own values: SGD, 30 epochs, a rate of 0.01 that falls in steps.")
