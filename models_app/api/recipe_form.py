"""The field `recipe` of the model forms, which fills in the fields that were left empty."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.datastructures import MultiValueDict
from rest_framework import serializers
from rest_framework.fields import empty

from datasets.models import Dataset
from digits_project.api.forms import EMPTY, Flag
from digits_project.jobs.models import Device, Status
from digits_project.jobs.visibility import find_visible
from models_app import networks, recipes
from models_app.api.policy_form import PolicyForm
from models_app.kinds import KINDS
from models_app.models import TrainedModel
from models_app.networks.timm.timm_catalogue import PREFIX, facts_of, is_timm
from models_app.pretrained.installed import installed
from models_app.pretrained.pretrained_model import PretrainedModel

YES_OR_NO = ("yes", "no")


class RecipeForm(PolicyForm):
    """A form whose empty fields a recipe fills in, before they are checked. Over REST the default recipe is classic,
    which fills in nothing; pages begin with auto."""

    KIND: str  # of models_app.kinds

    recipe = serializers.ChoiceField(recipes.NAMES, default=recipes.CLASSIC.name)
    dry_run = Flag()

    is_dry_run = False  # set by validate()

    def __init__(self, instance=None, data=empty, **kwargs):
        self._filled, self._wrong_recipe = recipes.Filled(recipes.CLASSIC.name, ""), {}
        if isinstance(data, Mapping):
            data = self._filled_in(data)
        super().__init__(instance, data, **kwargs)

    @property
    def filled(self) -> recipes.Filled:
        """What the recipe filled in."""
        return self._filled

    def for_page(self):
        """Let the fields that a recipe can fill in start empty, so that what the user fills in is known."""
        super().for_page()
        for name in recipes.fillable() & self.fields.keys():
            if isinstance(flag := self.fields[name], Flag):
                self.fields[name] = YesNo(flag)
            field = self.fields[name]
            field.initial = ""
            if isinstance(field, serializers.ChoiceField):
                field.allow_blank = True
        self.fields["recipe"].initial = recipes.AUTO

    def wrong_together(self, values):
        return super().wrong_together(values) | self._wrong_recipe

    def validate(self, form):
        """Add the columns about the recipe."""
        filled, self.is_dry_run = self._filled, form.pop("dry_run")
        used = {"recipe_used": filled.used, "recipe_reason": filled.reason, "filled_in": filled.values}
        return super().validate(form) | used

    def _filled_in(self, data: Mapping) -> Mapping:
        """The data with the values of the recipe."""
        asked = str(data.get("recipe") or recipes.CLASSIC.name)
        if asked == recipes.CLASSIC.name or asked not in recipes.NAMES:
            return data
        sent = {name: value for name, value in data.items() if value not in EMPTY}
        try:
            self._filled = recipes.fill_in(asked, self._situation(sent), self.unordered_fields())
        except recipes.BadRecipe as wrong:
            self._wrong_recipe = wrong.errors
            return data
        return {**with_lists(data), **self._filled.values}

    def _situation(self, sent: Mapping[str, Any]) -> recipes.Situation:
        dataset = find_visible(sent.get("dataset"), Dataset)
        is_done = dataset is not None and dataset.status == Status.DONE
        return recipes.Situation(
            sent,
            KINDS[self.KIND].has_categories,
            image_shape=dataset.image_shape if dataset and dataset.shapes_are_known else None,
            images=dataset.entries("train") if dataset and is_done else None,
            has_gpu=Device.objects.filter(enabled=True, type=Device.Type.GPU).exists(),
            weights=installed(),
            has_features=all(map(_has_features, _chosen_networks(sent))),
        )


def _chosen_networks(sent: Mapping[str, Any]) -> list[str]:
    """The names of the networks that the user chose."""
    pretrained = find_visible(sent.get("pretrained_networks"), PretrainedModel)
    previous = find_visible(sent.get("previous_networks"), TrainedModel)
    taken = [pretrained.network_name] if pretrained else []
    if previous:
        taken.append(previous.standard_network or str((previous.previous_network or {}).get("name", "")))
    return [*taken, str(sent.get("standard_networks", ""))]


def _has_features(network: str) -> bool:
    """Whether the head of a network can be trained on features, as far as its name says."""
    is_known = is_timm(network) and networks.is_standard(network)
    return bool(facts_of(network.removeprefix(PREFIX)).features) if is_known else True


def with_lists(data: Mapping) -> dict[str, Any]:
    """The posted fields; of `select_gpus`, which a form sends once for each GPU, all values."""
    fields = dict(data.items())
    if isinstance(data, MultiValueDict) and "select_gpus" in data:
        fields["select_gpus"] = data.getlist("select_gpus")
    return fields


class YesNo(serializers.ChoiceField):
    """A flag on a page that can be left empty."""

    def __init__(self, flag: Flag):
        super().__init__(YES_OR_NO, required=False, help_text=flag.help_text)

    def to_representation(self, value):
        return YES_OR_NO[not value] if isinstance(value, bool) else value
