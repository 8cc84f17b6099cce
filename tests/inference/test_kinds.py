"""Kinds: each app has a part of every kind, which it finds by the name of the kind."""

import pytest
from django.urls import reverse

from datasets import kinds as dataset_kinds
from datasets.api.serializers import FORMS as DATASET_FORMS
from datasets.kinds import DatasetKind
from datasets.models import Dataset
from datasets.sources import sources_of
from inference.api.views import InferenceViewSet
from inference.inference_kinds import METRICS, QUESTIONS
from models_app import kinds as model_kinds
from models_app.api.serializers import FORMS as MODEL_FORMS
from models_app.choices import NetworkMethod
from models_app.kinds import ModelKind, Question
from models_app.models import TrainedModel


class Segmentation(DatasetKind):
    name = "segmentation"
    label = "Image Segmentation Dataset"


SEGMENTATION_MODEL = ModelKind(
    "segmentation", "Image Segmentation Model", (NetworkMethod.CUSTOM,), False, False, Question("", "", "")
)


@pytest.fixture
def registered(monkeypatch):
    """Both registries with one more kind."""
    monkeypatch.setattr(dataset_kinds.dataset_kind, "KINDS", kinds := dataset_kinds.KINDS.copy())
    monkeypatch.setattr(dataset_kinds, "KINDS", kinds)
    monkeypatch.setattr(model_kinds.model_kind, "KINDS", kinds := model_kinds.KINDS.copy())
    monkeypatch.setattr(model_kinds, "KINDS", kinds)
    dataset_kinds.register(Segmentation())
    model_kinds.register(SEGMENTATION_MODEL)


def test_a_registered_kind_is_a_choice_of_its_column_and_the_type_of_its_rows(registered):
    for model, name in ((Dataset, "Image Segmentation Dataset"), (TrainedModel, "Image Segmentation Model")):
        column = model._meta.get_field("kind")
        assert ("segmentation", name) in list(column.choices)
        assert name == model(kind="segmentation").TYPE


@pytest.mark.parametrize("kinds, kind", [(dataset_kinds, Segmentation()), (model_kinds, SEGMENTATION_MODEL)])
def test_a_kind_cannot_be_registered_twice(registered, kinds, kind):
    with pytest.raises(ValueError, match=r"'segmentation' of .* is registered already"):
        kinds.register(kind)


def test_every_kind_of_dataset_has_a_form_and_sources():
    assert list(dataset_kinds.KINDS) == list(DATASET_FORMS)
    assert all(sources_of(kind) for kind in dataset_kinds.KINDS)


def test_every_kind_of_model_has_a_form_and_questions():
    assert list(model_kinds.KINDS) == list(MODEL_FORMS) == list(QUESTIONS)


def test_every_kind_that_is_evaluated_has_metrics():
    assert [kind.name for kind in model_kinds.KINDS.values() if kind.is_evaluated] == list(METRICS)


@pytest.mark.parametrize("kind", model_kinds.KINDS)
def test_the_question_on_the_page_of_a_model_belongs_to_its_kind(kind):
    routes = {reverse(f"{action.replace('_', '-')}-json") for action in QUESTIONS[kind]}
    assert reverse(model_kinds.KINDS[kind].question.url_name) in routes
    assert all(hasattr(InferenceViewSet, action) for action in QUESTIONS[kind])
