"""The viewsets of the previews of augmentation."""

from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.viewsets import ViewSet

from datasets.models import Dataset
from digits_project.accounts.roles import Role
from digits_project.api.browsable import PageResponse
from digits_project.api.openapi import errors
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.jobs.api.views import fetch
from models_app.api.previews.preview_forms import DatasetPreviewForm, ModelPreviewForm, PreviewFacts, preview_json
from models_app.augment_preview import contact_sheet
from models_app.augment_preview.preview import Reading, SeenImage
from models_app.models import TrainedModel

PNG = "image/png"
PAGE = "models_app/augment_preview.html"
MAX_CATEGORIES = 1000  # of the page's list
FAILURES = errors(404, 409)


class AugmentPreviewViewSet(ViewSet):
    """The first nine images of a category as an epoch of a training will see them, to the pixel."""

    role = Role.USER
    form: type[ModelPreviewForm]

    def job(self, job_id: str) -> tuple[Dataset | TrainedModel, Dataset]:
        """The job whose images are shown, and its dataset."""
        raise NotImplementedError

    def respond(self, request, job_id: str) -> PageResponse:
        """The facts about the images, and on the page the form and the sheet."""
        form, dataset, reading, images = self._seen(request, job_id)
        query = request.META.get("QUERY_STRING", "")
        sheet = request.path.removesuffix(".json") + ".png" + (f"?{query}" if query else "")
        facts = preview_json(dataset, reading, form, images) | {"sheet": sheet}
        return PageResponse(facts, PAGE, fields=_shown_fields(form, dataset))

    def respond_with_sheet(self, request, job_id: str) -> HttpResponse:
        """The images beside each other."""
        *_, images = self._seen(request, job_id)
        if not images:
            raise ValidationError({"category": "This category has no images for training."})
        return HttpResponse(contact_sheet.sheet([image.pixels for image in images]), content_type=PNG)

    def _seen(self, request, job_id: str) -> tuple[ModelPreviewForm, Dataset, Reading, list[SeenImage]]:
        job, dataset = self.job(job_id)
        form = self.form.with_data(request.query_params.dict())
        form.is_valid(raise_exception=True)
        reading = form.reading(job)
        return form, dataset, reading, form.images(dataset, reading)


class DatasetPreviewViewSet(AugmentPreviewViewSet):
    """The first nine images of a category of a dataset, as a training with these settings will see them."""

    form = DatasetPreviewForm

    def job(self, job_id):
        dataset = fetch(Dataset, job_id)
        return dataset, dataset

    @extend_schema(responses={200: PreviewFacts, **FAILURES}, parameters=[DatasetPreviewForm])
    def retrieve(self, request, job_id, format=None):
        return self.respond(request, job_id)

    @extend_schema(responses={(200, PNG): OpenApiTypes.BINARY, **FAILURES}, parameters=[DatasetPreviewForm])
    @action(detail=True, renderer_classes=(PrettyJSONRenderer,))
    def sheet(self, request, job_id):
        """The images of the preview beside each other, without a changed pixel."""
        return self.respond_with_sheet(request, job_id)


class ModelPreviewViewSet(AugmentPreviewViewSet):
    """The first nine images of a category, as the training of this model sees them."""

    form = ModelPreviewForm

    def job(self, job_id):
        model = fetch(TrainedModel, job_id)
        return model, model.dataset

    @extend_schema(responses={200: PreviewFacts, **FAILURES}, parameters=[ModelPreviewForm])
    def retrieve(self, request, job_id, format=None):
        return self.respond(request, job_id)

    @extend_schema(responses={(200, PNG): OpenApiTypes.BINARY, **FAILURES}, parameters=[ModelPreviewForm])
    @action(detail=True, renderer_classes=(PrettyJSONRenderer,))
    def sheet(self, request, job_id):
        """The images of the preview beside each other, without a changed pixel."""
        return self.respond_with_sheet(request, job_id)


def _shown_fields(form: ModelPreviewForm, dataset: Dataset) -> list[dict[str, Any]]:
    """The fields of the page's form: name, help, value, and the choices, if there are any."""
    found = []
    for name, field in form.fields.items():
        value = form.validated_data[name]
        choices = list(getattr(field, "choices", ()))
        if name == "category":
            choices = dataset.category_names[:MAX_CATEGORIES]
        elif isinstance(field, serializers.BooleanField):
            choices, value = ["off", "on"], "on" if value else "off"
        if choices and getattr(field, "allow_blank", False) and name != "category":
            choices = ["", *choices]
        shown = {"name": name, "help": field.help_text, "value": "" if value is None else str(value)}
        found.append(shown | {"choices": list(map(str, choices))})
    return found
