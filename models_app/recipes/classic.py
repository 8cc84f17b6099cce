"""The recipe `classic`: DIGITS's own values, which are the defaults of the form."""

from models_app.recipes.recipe import Recipe

CLASSIC = Recipe(
    "classic",
    "DIGITS's own values: SGD, 30 epochs, a rate of 0.01 that falls in steps.",
    measured="98.2 % of 1,797 small gray digits, in 16 s on two cores; 51.2 % of CIFAR-10",
)
