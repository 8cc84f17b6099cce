"""The columns about the recipe of a model."""

from django.db import models

from models_app import recipes
from models_app.choices import recipe_names


class FilledInByRecipe(models.Model):
    """A model whose form a recipe filled in."""

    recipe = models.CharField(max_length=recipes.MAX_NAME, choices=recipe_names, default=recipes.CLASSIC.name)
    recipe_used = models.CharField(max_length=recipes.MAX_NAME, blank=True, editable=False)  # what auto chose
    recipe_reason = models.TextField(blank=True, editable=False)  # why auto chose it
    filled_in = models.JSONField(default=dict, blank=True, editable=False)  # {field of the form: value}
    # The seconds of its training by estimates.cost_model, uncorrected: with the true ones it corrects later estimates.
    estimated_seconds = models.FloatField(null=True, editable=False)
    # What its training will write: into its folder, and beside the dataset's records. 0: not known.
    estimated_bytes = models.BigIntegerField(default=0, editable=False)
    estimated_cache_bytes = models.BigIntegerField(default=0, editable=False)

    class Meta:
        abstract = True
