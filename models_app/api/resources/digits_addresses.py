"""DIGITS's further addresses about models, and about jobs of all kinds."""

from typing import Any

from django.http import HttpResponseRedirect
from django.urls import reverse
from django.utils.http import urlencode
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from datasets import kinds as dataset_kinds
from datasets.models import Dataset
from digits_project.accounts.roles import Role
from digits_project.api.openapi import errors
from digits_project.api.renderers import PrettyJSONRenderer, wants_json
from digits_project.common.errors import BadInput
from digits_project.jobs.api.job_forms import PageForm
from digits_project.jobs.api.job_responses import MOVED
from digits_project.jobs.api.views import fetch
from digits_project.jobs.models import Job, Status
from models_app import kinds
from models_app.api.model_responses import curve
from models_app.api.resources.job_tables import table, tables
from models_app.models import TrainedModel
from models_app.results import Metric

MODEL_ID = OpenApiParameter("job_id", str, required=True, description="The model's id.")
# The URL name of the form that made a job, by its class and kind.
FORMS = {
    (Dataset, dataset_kinds.CLASSIFICATION): "create-dataset",
    (Dataset, dataset_kinds.GENERIC): "create-generic-dataset",
    (TrainedModel, kinds.CLASSIFICATION): "create-model",
    (TrainedModel, kinds.GENERIC): "create-generic-model",
}


class TableRow(serializers.Serializer):
    """A job in DIGITS's table. A model has also its outputs, such as `loss (train) last`, and the `sparkline` of its
    loss."""

    id = serializers.CharField()
    name = serializers.CharField()
    group = serializers.CharField(allow_blank=True)
    status = serializers.ChoiceField(Status.choices)
    status_css = serializers.CharField(help_text="DIGITS's colour for the status.")
    submitted = serializers.FloatField(help_text="When it was created: seconds since 1970.")
    elapsed = serializers.FloatField(help_text="The seconds for which it has run.")
    progress = serializers.IntegerField(help_text="In percent.")
    type = serializers.CharField(help_text="dataset, model or pretrained_model.")
    backend = serializers.CharField(required=False, help_text="Of a dataset.")
    framework = serializers.CharField(required=False, help_text="Of a model, also a pretrained one.")
    dataset_id = serializers.CharField(required=False, help_text="Of a model.")
    username = serializers.CharField(required=False, help_text="Of a pretrained model.")
    has_labels = serializers.BooleanField(required=False, help_text="Of a pretrained model.")
    sparkline = serializers.ListField(child=serializers.FloatField(), required=False)


class TableRowOfJob(serializers.Serializer):
    """The row of one job."""

    job = TableRow()


class JobTables(serializers.Serializer):
    """DIGITS's tables: the jobs in progress, and those that have ended."""

    running = TableRow(many=True)
    datasets = TableRow(many=True)
    models = TableRow(many=True)
    pretrained_models = TableRow(many=True)
    model_output_fields = serializers.ListField(
        child=serializers.CharField(), help_text="The names of the outputs that any of the models has."
    )


class LargeGraph(serializers.Serializer):
    """The curves of a training, as the columns of DIGITS's chart."""

    columns = serializers.ListField(
        child=serializers.ListField(child=serializers.JSONField()), help_text="The name of a curve and its values."
    )
    xs = serializers.DictField(child=serializers.CharField(), help_text="Of each curve the column of its epochs.")
    names = serializers.DictField(child=serializers.CharField(), help_text="Of each curve its name for people.")
    axes = serializers.DictField(child=serializers.CharField(), help_text="y2 for each accuracy.")


class DigitsModelViewSet(ViewSet):
    """DIGITS's further addresses about jobs."""

    role = Role.VIEWER  # no action changes anything
    renderer_classes = (PrettyJSONRenderer,)

    @extend_schema(responses={200: JobTables}, parameters=[PageForm])
    def completed_jobs(self, request, format=None):
        """All jobs as rows of DIGITS's tables: those in progress, and those that have ended. `?page=` or `?page_size=`
        limit the number of each kind."""
        return Response(tables(PageForm.window(request.query_params)))

    @extend_schema(responses={200: TableRowOfJob})
    def table_data(self, request, job_id, format=None):
        """A job as the row of DIGITS's table."""
        return Response({"job": table([fetch(None, job_id)])[0]})

    @extend_schema(responses=MOVED)
    def clone(self, request, job_id, format=None):
        """The form that made a job, with the job's values: an address of this server with `?clone=`."""
        name = _form_of(fetch(None, job_id)) + ("-json" if format == "json" else "")
        return HttpResponseRedirect(f"{reverse(name)}?{urlencode({'clone': job_id})}")

    @extend_schema(responses={200: LargeGraph, **errors(404), **MOVED}, parameters=[MODEL_ID])
    def large_graph(self, request, format=None):
        """All points of a training's curves. In a browser the model's page has them."""
        model = fetch(TrainedModel, request.query_params.get("job_id"))
        return Response(graph_json(model)) if wants_json(request) else HttpResponseRedirect(model.get_absolute_url())


def graph_json(model: TrainedModel) -> dict[str, Any]:
    """The response to GET /models/images/…/large_graph.json."""
    columns: list[list[Any]] = []
    xs: dict[str, str] = {}
    names: dict[str, str] = {}
    axes: dict[str, str] = {}
    for split in Metric.Split.values:
        points = curve(model, split, every_point=True)
        epochs = points.pop("epoch")
        for name, values in points.items():
            column = f"{name}-{split}"
            columns.append([column, *values])
            xs[column], names[column] = f"{split}_epochs", f"{name} ({split})"
            axes |= {column: "y2"} if "accuracy" in name else {}
        if epochs:
            columns.append([f"{split}_epochs", *epochs])
    return {"columns": columns, "xs": xs, "names": names, "axes": axes}


def _form_of(job: Job) -> str:
    name = FORMS.get((type(job), getattr(job, "kind", "")))
    if name is None:
        raise BadInput(f"{job.name} is no dataset and no model, so it can't be cloned.")
    return name
