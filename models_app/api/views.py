"""The viewsets of models."""

from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.decorators import action
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.response import Response

from digits_project.accounts import permissions
from digits_project.accounts.roles import Role
from digits_project.accounts.viewer import limited_user
from digits_project.api.browsable import PageResponse
from digits_project.api.error_statuses import Conflict
from digits_project.api.forms import Form
from digits_project.api.openapi import errors
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.common.errors import BadInput
from digits_project.jobs.api.job_resources import DetailsForm, wants_details
from digits_project.jobs.api.views import WITHOUT_PAGE, CreateViewSet, JobViewSet, fetch
from digits_project.jobs.models import Job
from models_app import evaluations, network_texts, networks, searches
from models_app.api.model_responses import (
    Chart,
    CreatedEvaluation,
    EvaluationFacts,
    created_evaluation_json,
    created_json,
    evaluation_json,
    model_json,
)
from models_app.api.network_forms import (
    CurveForm,
    CustomizeForm,
    CustomNetwork,
    EvaluationForm,
    NetworkForm,
    StoredEvaluationForm,
    TimmNetworks,
)
from models_app.api.plans import Creation, plan
from models_app.api.policy_form import PolicyForm
from models_app.api.resources.digits_keys import digits_keys
from models_app.api.resources.form_values import form_values
from models_app.api.resources.model_resources import WholeModelFacts, model_details
from models_app.api.serializers import FORMS, ClassificationModelForm, GenericModelForm, chosen_snapshot
from models_app.models import TrainedModel
from models_app.networks.timm.timm_catalogue import is_timm
from models_app.results import Evaluation, metrics_csv
from models_app.training.learning_rate import PLATEAU

SVG = "image/svg+xml"
CSV = "text/csv"
BEFORE_PLATEAU = " before a plateau"  # of the name of a curve
RUNS_NOTHING = "default-src 'none'; style-src 'unsafe-inline'"
# Actions that change nothing and have no page.
QUESTION: dict[str, Any] = {
    "detail": False,
    "methods": ["post"],
    "role": Role.VIEWER,
    "renderer_classes": (PrettyJSONRenderer,),
}


class ModelViewSet(JobViewSet):
    """A model: its snapshots, its curves and its progress. `?points=all`: every point of the curves."""

    job_class = TrainedModel

    @extend_schema(responses={200: WholeModelFacts}, parameters=[CurveForm, DetailsForm])
    def retrieve(self, request, job_id, format=None):
        model = fetch(TrainedModel, job_id)
        details = {"details": model_details(model)} if wants_details(request) else {}
        facts = model_json(model, request.query_params.get("points") == "all") | digits_keys(model) | details
        return PageResponse(
            facts,
            "models_app/model.html",
            starts_from=network_texts.starts_from(model),
            is_ending=model.stop_requested_at,
        )

    @extend_schema(responses={(200, CSV): OpenApiTypes.STR})
    @action(detail=True, name="Metrics File", **WITHOUT_PAGE)
    def metrics_csv(self, request, job_id):
        """All measurements of a training as CSV, one measurement per line."""
        model = fetch(TrainedModel, job_id)
        named = {"Content-Disposition": f'attachment; filename="{model.pk}_metrics.csv"'}
        return StreamingHttpResponse(metrics_csv([model]), content_type=f"{CSV}; charset=utf-8", headers=named)

    @extend_schema(responses={200: Chart})
    @action(name="Visualize Learning Rate", serializer_class=PolicyForm, **QUESTION)
    def visualize_lr(self, request, format=None):
        """The learning rate at every percent of a training, from 0 to 100, as the columns of a chart.

        Each of several base rates has its own column. When the policy `plateau` will lower the rate is not known
        before the training: its column has the rate without a plateau, and says so. The route has no page: the
        response is JSON with or without the suffix.
        """
        form = self.valid_form(request.data)
        bases = form.validated_data.pop("learning_rate")
        name = "Learning Rate" + BEFORE_PLATEAU * (form.validated_data["lr_policy"] == PLATEAU)
        names = [name] if len(bases) == 1 else [f"{name} {i}" for i in range(len(bases))]
        curves = [network_texts.learning_rates(base, **form.validated_data) for base in bases]
        columns = [[name, *curve] for name, curve in zip(names, curves, strict=True)]
        return Response({"data": {"columns": columns}})

    @extend_schema(responses={200: CustomNetwork, **errors(404)})
    @action(name="Customize", serializer_class=CustomizeForm, **QUESTION)
    def customize(self, request, format=None):
        """The prototxt of a standard network or of a model, as a template for your own, and the path of a snapshot's
        weights.

        The route has no page: the response is JSON with or without the suffix.
        """
        form = self.valid_form(given(request, CustomizeForm))
        name, epoch = form.validated_data["network"], form.validated_data["snapshot_epoch"]
        if name in networks.STANDARD or is_timm(name):
            return Response({"network": network_texts.standard_prototxt(name), "snapshot": None})
        model = fetch(TrainedModel, name)
        snapshot = chosen_snapshot(model, epoch, "snapshot_epoch")
        weights = str(snapshot.onnx_file) if snapshot and limited_user() is None else None
        return Response({"network": network_texts.prototxt_of(model), "snapshot": weights})

    @extend_schema(responses={200: TimmNetworks})
    @action(name="Networks of timm", **QUESTION | {"methods": ["get"]})
    def timm_networks(self, request, format=None):
        """All networks of the timm library that can be trained: the values of `standard_networks` that begin with
        timm/, and what is known of each. The route has no page: the response is JSON with or without the suffix."""
        return Response(network_texts.timm_networks())

    @extend_schema(responses={(200, SVG): OpenApiTypes.STR})
    @action(name="Visualize Network", serializer_class=NetworkForm, **QUESTION)
    def visualize_network(self, request, format=None):
        """The picture of a network that is given as prototxt, as SVG. Errors of the network are returned as JSON."""
        form = self.valid_form(given(request, NetworkForm))
        try:
            drawn = network_texts.picture_of(**form.validated_data)
        except BadInput as wrong:
            raise ValidationError({"custom_network": str(wrong)}) from wrong
        return HttpResponse(drawn, content_type=SVG, headers={"Content-Security-Policy": RUNS_NOTHING})


@extend_schema_view(create=extend_schema(responses={200: Creation, **errors(404, 429, 507)}))
class CreateModelsViewSet(CreateViewSet[Job]):
    """One model, with several batch sizes or learning rates one for each combination, or with ranges a search."""

    page_template = "models_app/new_model.html"
    button = "Train"
    cloned_class = TrainedModel

    def fields_of(self, job):
        return form_values(job) if self.serializer_class is FORMS[job.kind] else None

    def make_jobs(self, owner, **fields):
        return searches.create_jobs(owner, **fields)

    def page_of(self, jobs):
        return f"{reverse('compare')}?ids={','.join(job.pk for job in jobs)}"

    def describe(self, job):
        return created_json(job)

    def respond(self, request, form):
        if not form.is_dry_run:
            return super().respond(request, form)
        planned = plan(self.owner(), form)
        return Response(planned[0] if len(planned) == 1 else {"jobs": planned})


class ClassificationModelViewSet(CreateModelsViewSet):
    """Train a network to classify the images of a dataset.

    With several batch sizes or learning rates, `0.1,0.01`, one model is created for each combination, all or none,
    and the response is `{"jobs": [...]}`. If a hyperparameter has a range, `0.0001..0.1 log`, a search is created,
    and the response has its id.
    """

    serializer_class = ClassificationModelForm


class GenericModelViewSet(CreateModelsViewSet):
    """Train your own network, with any losses and outputs, on a generic dataset or one for classification.

    Several batch sizes or learning rates create several models, as for classification.
    """

    serializer_class = GenericModelForm


class EvaluationViewSet(CreateViewSet[Evaluation]):
    """Evaluations of a classifier's snapshots on images that it was not trained on."""

    serializer_class = EvaluationForm
    button = "Evaluate"

    @extend_schema(responses={200: EvaluationFacts}, parameters=[StoredEvaluationForm])
    def retrieve(self, request, job_id, format=None):
        """The results of an evaluation; until it is Done, only its status.

        The best snapshot of a classifier is evaluated after its training; any other after a POST to this address."""
        model = fetch(TrainedModel, job_id)
        asked = StoredEvaluationForm.valid_values(request.query_params)
        which = asked["split"], asked["snapshot_epoch"]
        evaluation = evaluations.find(model, *which)
        in_json = request.accepted_renderer.format == "json"
        if evaluation is None and not in_json:
            reason = evaluations.reason_against(model, *which)
            return PageResponse({}, "models_app/no_evaluation.html", model=model, reason=reason)
        if evaluation is None:
            raise NotFound(evaluations.missing(model, *which))
        facts, may_change = evaluation_json(evaluation, whole=in_json), permissions.may_change(request, evaluation)
        return PageResponse(facts, "models_app/measured.html", may_change=may_change)

    @extend_schema(responses={200: CreatedEvaluation, **errors(409, 429, 507)})
    def create(self, request, format=None, **names):
        """Start the evaluation of a snapshot by a worker. An evaluation that exists or is in progress is returned
        instead."""
        self.model = fetch(TrainedModel, names["job_id"])
        return super().create(request, format)

    def make_jobs(self, owner, **fields):
        try:
            return [evaluations.evaluate(self.model, fields["split"], fields["snapshot_epoch"], owner)]
        except evaluations.CanNotEvaluate as unable:
            raise Conflict(str(unable)) from unable

    def describe(self, job):
        return created_evaluation_json(job)


def given(request, form: type[Form]) -> dict:
    """The fields of a form, each from the query string, else from the body."""
    asked = {name: request.query_params.get(name, request.data.get(name)) for name in form().fields}
    return {name: value for name, value in asked.items() if value is not None}
