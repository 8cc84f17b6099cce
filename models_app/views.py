"""The model routes."""

from rest_framework.response import Response

from digits_project.jobs.views import CreateView, EditView, fetch
from digits_project.jobs.wire import created
from models_app import services
from models_app.models import TrainedModel
from models_app.serializers import ClassificationModelForm, model_json
from models_app.wire import CreatedModel, CurveForm, ModelFacts


class ModelDetail(EditView):
    """A model: its snapshots, its curves, and how far it is. `?points=all`: every point of the curves."""

    kind = TrainedModel
    answers = EditView.answers | {"get": ModelFacts}
    queries = {"get": CurveForm}

    def get(self, request, job_id, format=None):
        return Response(model_json(fetch(TrainedModel, job_id), request.query_params.get("points") == "all"))


class CreateClassification(CreateView):
    """Train a network to classify the images of a dataset."""

    serializer_class = ClassificationModelForm
    answers = CreateView.answers | {"post": CreatedModel}

    def create(self, owner, **fields):
        return services.create_model(owner, **fields)

    def describe(self, job):
        return created(job, dataset_id=job.dataset_id)
