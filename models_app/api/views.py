"""The model routes."""

from django.http import HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.response import Response

from digits_project.accounts.roles import Role
from digits_project.accounts.viewer import limited_user
from digits_project.api.exceptions import Conflict
from digits_project.api.forms import Form
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.common.errors import BadInput
from digits_project.jobs.api.views import CreateView, EditView, FormView, JobApiView, fetch
from models_app import evaluations, network_texts, services
from models_app.api.model_responses import (
    Chart,
    CreatedEvaluation,
    Creation,
    CurveForm,
    CustomNetwork,
    EvaluationFacts,
    ModelFacts,
    created_evaluation_json,
    created_json,
    evaluation_json,
    model_json,
)
from models_app.api.serializers import (
    ClassificationModelForm,
    CustomizeForm,
    EvaluationForm,
    GenericModelForm,
    NetworkForm,
    PolicyForm,
    StoredEvaluationForm,
    chosen_snapshot,
)
from models_app.metrics_csv import metrics_csv
from models_app.models import TrainedModel
from models_app.networks import STANDARD

SVG = "image/svg+xml"
CSV = "text/csv"
RUNS_NOTHING = "default-src 'none'; style-src 'unsafe-inline'"


class ModelDetail(EditView):
    """A model: its snapshots, its curves, and how far it is. `?points=all`: every point of the curves."""

    kind = TrainedModel
    page = "models_app/model.html"
    answers = EditView.answers | {"get": ModelFacts}
    queries = {"get": CurveForm}

    def get(self, request, job_id, format=None):
        return Response(model_json(fetch(TrainedModel, job_id), request.query_params.get("points") == "all"))


class CreateModels(CreateView):
    """One model, or with several batch sizes or learning rates one for each combination."""

    answers = CreateView.answers | {"post": Creation}
    create = staticmethod(services.create_models)

    def answer(self, request, models):
        json = [created_json(model) for model in models]
        if request.accepted_renderer.format == "json":
            return Response(json[0] if len(json) == 1 else {"jobs": json})
        return HttpResponseRedirect(models[0].get_absolute_url() if len(models) == 1 else reverse("home"))


class CreateClassificationModel(CreateModels):
    """Train a network to classify the images of a dataset.

    With several batch sizes or learning rates, `0.1,0.01`, one model for each combination is made, all or none, and the
    answer is `{"jobs": [...]}`.
    """

    name = "New Image Classification Model"
    serializer_class = ClassificationModelForm


class CreateGenericModel(CreateModels):
    """Train a network of one's own, with any losses and outputs, on a generic dataset or one for classification.

    Several batch sizes or learning rates make several models, as for classification.
    """

    name = "New Image Model"
    serializer_class = GenericModelForm


class MetricsFile(JobApiView):
    """Everything that was measured in a training, as CSV: a line a measurement."""

    renderer_classes = (PrettyJSONRenderer,)
    answers = {"get": {(200, CSV): OpenApiTypes.STR}}

    def get(self, request, job_id):
        model = fetch(TrainedModel, job_id)
        named = {"Content-Disposition": f'attachment; filename="{model.pk}_metrics.csv"'}
        return StreamingHttpResponse(metrics_csv([model]), content_type=f"{CSV}; charset=utf-8", headers=named)


class ModelEvaluation(CreateView):
    """How well a snapshot of a classifier does on images that it was not trained on."""

    name = "Evaluation of a model"
    page = "models_app/measured.html"
    kind = TrainedModel
    serializer_class = EvaluationForm
    answers = {"get": EvaluationFacts, "post": CreatedEvaluation}
    queries = {"get": StoredEvaluationForm}
    refusals = {"post": (409, 429, 507)}

    def get(self, request, job_id, format=None):
        """What was measured; until the evaluation is Done, its status only.

        The best snapshot of a classifier is evaluated after its training, any other once that is asked for."""
        model = fetch(TrainedModel, job_id)
        asked = StoredEvaluationForm(data=request.query_params)
        asked.is_valid(raise_exception=True)
        which = asked.validated_data["split"], asked.validated_data["snapshot_epoch"]
        evaluation = evaluations.find(model, *which)
        if evaluation is None:
            raise NotFound(evaluations.missing(model, *which))
        return Response(evaluation_json(evaluation, whole=request.accepted_renderer.format == "json"))

    def post(self, request, job_id, format=None):
        """Have a snapshot evaluated. A worker does it; what is there already, or on its way, is not done again."""
        self.model = fetch(TrainedModel, job_id)
        return super().post(request, format)

    def create(self, owner, split, snapshot_epoch):
        try:
            return evaluations.evaluate(self.model, split, snapshot_epoch, owner)
        except evaluations.CanNotEvaluate as unable:
            raise Conflict(str(unable)) from unable

    def describe(self, job):
        return created_evaluation_json(job)


class VisualizeLearningRate(FormView):
    """The learning rate at every percent of a training, from 0 to 100, as the columns of a chart.

    Several base rates make a column each. It has no page: it is JSON with or without the suffix.
    """

    role = Role.VIEWER  # it changes nothing
    renderer_classes = (PrettyJSONRenderer,)
    serializer_class = PolicyForm
    answers = FormView.answers | {"post": Chart}

    def post(self, request, format=None):
        form = PolicyForm(data=request.data)
        form.is_valid(raise_exception=True)
        bases = form.validated_data.pop("learning_rate")
        names = ["Learning Rate"] if len(bases) == 1 else [f"Learning Rate {i}" for i in range(len(bases))]
        curves = [network_texts.learning_rates(base, **form.validated_data) for base in bases]
        columns = [[name, *curve] for name, curve in zip(names, curves, strict=True)]
        return Response({"data": {"columns": columns}})


class Customize(FormView):
    """The prototxt of a standard network or of a model, to start one's own from, and where a snapshot's weights are.

    It has no page: it is JSON with or without the suffix.
    """

    role = Role.VIEWER  # it changes nothing
    renderer_classes = (PrettyJSONRenderer,)
    serializer_class = CustomizeForm
    answers = FormView.answers | {"post": CustomNetwork}
    refusals = {"post": (404,)}

    def post(self, request, format=None):
        form = CustomizeForm(data=given(request, CustomizeForm))
        form.is_valid(raise_exception=True)
        name, epoch = form.validated_data["network"], form.validated_data["snapshot_epoch"]
        if name in STANDARD:
            return Response({"network": network_texts.standard_prototxt(name), "snapshot": None})
        model = fetch(TrainedModel, name)
        snapshot = chosen_snapshot(model, epoch, "snapshot_epoch")
        weights = str(snapshot.weights_file) if snapshot and limited_user() is None else None
        return Response({"network": network_texts.prototxt_of(model), "snapshot": weights})


class VisualizeNetwork(FormView):
    """The picture of a network that is given as prototxt, as SVG. What is wrong with it is told in JSON."""

    role = Role.VIEWER  # it changes nothing
    renderer_classes = (PrettyJSONRenderer,)
    serializer_class = NetworkForm
    answers = FormView.answers | {"post": {(200, SVG): OpenApiTypes.STR}}

    def post(self, request, format=None):
        form = NetworkForm(data=given(request, NetworkForm))
        form.is_valid(raise_exception=True)
        try:
            drawn = network_texts.picture_of(**form.validated_data)
        except BadInput as wrong:
            raise ValidationError({"custom_network": str(wrong)}) from wrong
        return HttpResponse(drawn, content_type=SVG, headers={"Content-Security-Policy": RUNS_NOTHING})


def given(request, form: type[Form]) -> dict:
    """The fields of a form, each from the query string or else from the body."""
    asked = {name: request.query_params.get(name, request.data.get(name)) for name in form().fields}
    return {name: value for name, value in asked.items() if value is not None}
