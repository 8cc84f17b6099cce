"""The inference routes."""

from rest_framework.response import Response

from datasets.imagedb import BadImage
from digits_project import api
from digits_project.errors import BadInput
from digits_project.jobs.views import FormView, fetch
from inference import services
from inference.serializers import ClassifyOneForm
from models_app.models import TrainedModel


class ClassifyOne(FormView):
    """Classify one image with a snapshot of a model: `job_id`, and one of `image_file`, `image_path`, `image_url`."""

    serializer_class = ClassifyOneForm

    def post(self, request, format=None):
        job_id = request.query_params.get("job_id") or request.data.get("job_id")
        if not job_id:
            raise BadInput("job_id is missing: the id of the model that is to classify.")
        model = fetch(TrainedModel, job_id)
        form = ClassifyOneForm(data=request.data)
        form.is_valid(raise_exception=True)
        try:
            snapshot = services.choose_snapshot(model, form.validated_data["snapshot_epoch"])
            ranked = services.classify(snapshot, form.validated_data["image"])
        except services.NoSnapshot as early:
            raise api.Conflict(str(early)) from early
        except services.NoSuchSnapshot as wrong:
            raise BadInput(str(wrong)) from wrong
        except BadImage as broken:
            raise api.Undecodable(str(broken)) from broken
        return Response({"predictions": api.predictions(ranked)})
