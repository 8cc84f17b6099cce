"""The inference routes."""

from pathlib import Path

import numpy as np
from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.response import Response

from datasets.imagedb import BadImage
from digits_project.accounts import throttling
from digits_project.accounts.roles import Role
from digits_project.api import exceptions, renderers, wire_format
from digits_project.common.errors import BadInput
from digits_project.jobs.api.views import FormView, JobApiView, fetch
from digits_project.monitoring.metrics import INFERENCE_SECONDS
from inference import bulk, services
from inference.api import inference_responses
from inference.api.pages import AnswerPage, pairs
from inference.api.serializers import DownloadForm, ImageListForm, OneImageForm, TopForm, VisualizationsForm
from inference.confusion import Confusion
from inference.download import contents
from inference.download.archive_stream import FORMS
from inference.engine.array_picture import picture
from inference.visualizations import visualizations
from models_app.models import Snapshot, TrainedModel

SKIPPED = "X-Digits-Skipped"  # header: how many images of a list could not be loaded
DEFAULT_FORM = "tar.gz"


class InferenceView(FormView):
    """A question to a snapshot of the model that `job_id` names."""

    role = Role.VIEWER
    throttle_classes = (throttling.InferenceRate,)
    renderer_classes = (renderers.PrettyJSONRenderer, AnswerPage)
    refusals = {"post": (404, 409, 422)}
    parameters = {"post": [inference_responses.JOB_ID]}

    def answer(self, snapshot: Snapshot, form: dict) -> HttpResponseBase:
        """The answer to a valid form. May raise what post() knows."""
        raise NotImplementedError

    def post(self, request, format=None):
        job_id = named_model(request)
        form = self.serializer_class(data=request.data)
        try:
            form.is_valid(raise_exception=True)
        except (ValidationError, BadInput):
            fetch(TrainedModel, job_id)  # that there is no such model is told before anything else
            raise
        snapshot = chosen_snapshot(job_id, form.validated_data["snapshot_epoch"])
        try:
            with INFERENCE_SECONDS.labels(type(self).__name__).time():
                return self.answer(snapshot, form.validated_data)
        except services.CanNotClassify as unable:
            raise exceptions.Conflict(str(unable)) from unable
        except BadImage as broken:
            named = f"{form.validated_data['image']}: " if isinstance(form.validated_data["image"], Path) else ""
            raise exceptions.Undecodable(f"{named}{broken}") from broken

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        self.shown = {}  # what AnswerPage shows of the answer

    @property
    def in_json(self) -> bool:
        return self.request.accepted_renderer.format == "json"


class OneImageView(InferenceView):
    """A question about one image. With it the page shows weights and activations, if show_visualizations is on; clients
    take no unknown key, so that JSON has them under `visualizations` only with `?visualizations=1`."""

    serializer_class = OneImageForm
    queries = {"post": VisualizationsForm}

    def ask(self, snapshot: Snapshot, pixels: np.ndarray) -> dict:
        """The answer; on the way `shown` gets what the page is to show."""
        raise NotImplementedError

    def answer(self, snapshot, form):
        pixels = services.reader(snapshot)(form["image"])
        answer = self.ask(snapshot, pixels)
        if self.in_json and wants_visualizations(self.request):
            answer["visualizations"] = visualizations(snapshot, pixels)
        if not self.in_json:
            self.shown["image"] = picture(pixels.transpose(2, 0, 1), colour=True, span=(0, 255))
            self.shown["visualizations"] = form["show_visualizations"] and visualizations(snapshot, pixels)
        return Response(answer)


class ClassifyOne(OneImageView):
    """Classify one image with a snapshot of a model: `job_id`, and one of `image_file`, `image_path`, `image_url`."""

    name = "Classify an image"
    answers = FormView.answers | {"post": inference_responses.PREDICTIONS}

    def ask(self, snapshot, pixels):
        ranked = services.classify(snapshot, pixels)
        self.shown["predictions"] = ranked
        return {"predictions": wire_format.predictions(ranked)}


class InferOne(OneImageView):
    """Every output of a network for one image: `job_id`, and one of `image_file`, `image_path`, `image_url`."""

    name = "Outputs for an image"
    answers = FormView.answers | {"post": inference_responses.OUTPUTS}

    def ask(self, snapshot, pixels):
        outputs = services.infer(snapshot, pixels)
        self.shown["outputs"] = pairs(outputs)
        return {"outputs": outputs}


class ListView(InferenceView):
    """A question about every image of a list."""

    serializer_class = ImageListForm
    refusals = {"post": (404, 409)}
    parameters = {"post": [inference_responses.JOB_ID, inference_responses.SKIPPED]}

    def ask(self, snapshot: Snapshot, images):
        """The Answer, and how many images could not be loaded."""
        raise NotImplementedError

    def answer(self, snapshot, form):
        with throttling.one_of_few_lists(self.request):
            answer, skipped = self.ask(snapshot, form["images"])
        if self.in_json:
            return answer.response({SKIPPED: skipped})
        value = answer.value()
        by_image = [(name, pairs(found)) for name, found in next(iter(value.values())).items()]
        self.shown |= {"skipped": skipped, "by_image": by_image}
        return Response(value, headers={SKIPPED: skipped})


class ClassifyMany(ListView):
    """Classify the images of a list, one path on each line: `job_id`, `image_list` and perhaps `image_folder`. Where a
    category's number follows the path, the page shows how many are right and what was taken for what."""

    name = "Classify a list of images"
    answers = FormView.answers | {"post": inference_responses.CLASSIFICATIONS}

    def ask(self, snapshot, images):
        if not self.in_json:
            self.shown["confusion"] = Confusion(snapshot.trained_model.dataset.category_names)
        return bulk.classify(snapshot, images, self.shown.get("confusion"))


class InferMany(ListView):
    """Every output of a network for the images of a list, one path on each line: `job_id`, `image_list`."""

    name = "Outputs for a list of images"
    answers = FormView.answers | {"post": inference_responses.OUTPUTS_OF_MANY}

    def ask(self, snapshot, images):
        return bulk.infer(snapshot, images)


class TopN(InferenceView):
    """For each category the images of a list that are surest of it: `job_id`, `image_list`, `top_n`."""

    name = "Surest images of each category"
    serializer_class = TopForm
    answers = FormView.answers | {"post": inference_responses.TOP_N}
    refusals = {"post": (404, 409)}
    parameters = {"post": [inference_responses.JOB_ID, inference_responses.SKIPPED]}

    def answer(self, snapshot, form):
        with throttling.one_of_few_lists(self.request):
            best, skipped = bulk.top(snapshot, form["images"], form["top_n"])
        self.shown |= {"skipped": skipped, "by_category": pairs(best)}
        return Response({"top_n": best}, headers={SKIPPED: skipped})


class Download(JobApiView):
    """An archive with everything that is needed to run a snapshot elsewhere; `?epoch=`, else the newest."""

    renderer_classes = (renderers.PrettyJSONRenderer,)
    answers = {"get": inference_responses.ARCHIVES}
    queries = {"get": DownloadForm}
    parameters = {"get": [inference_responses.FORM]}
    refusals = {"get": (409,)}

    def get(self, request, job_id, form=DEFAULT_FORM):
        if form not in FORMS:
            raise BadInput(f"There is no archive of the form {form}; there are {', '.join(FORMS)}.")
        asked = DownloadForm(data=request.query_params)
        asked.is_valid(raise_exception=True)
        snapshot = chosen_snapshot(job_id, asked.validated_data["epoch"])
        name = f"{job_id}_epoch_{snapshot.epoch:g}.{form}"
        return StreamingHttpResponse(
            contents.archive(snapshot, form),
            content_type=FORMS[form].media_type,
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )


def chosen_snapshot(job_id: object, epoch: float | None) -> Snapshot:
    """services.find_snapshot, with what is wrong as an HTTP answer."""
    try:
        return services.find_snapshot(job_id, epoch)
    except services.NoSuchModel as unknown:
        raise NotFound("Job not found") from unknown
    except services.NoSnapshot as early:
        raise exceptions.Conflict(str(early)) from early
    except services.NoSuchSnapshot as wrong:
        raise BadInput(str(wrong)) from wrong


def named_model(request) -> object:
    """The `job_id` of the query string or else of the body. Raises BadInput."""
    job_id = request.query_params.get("job_id") or request.data.get("job_id")
    if not job_id:
        raise BadInput("job_id is missing: the id of the model that is asked.")
    return job_id


def wants_visualizations(request) -> bool:
    """What `?visualizations=` says. Raises ValidationError."""
    asked = VisualizationsForm(data=request.query_params)
    asked.is_valid(raise_exception=True)
    return asked.validated_data["visualizations"]
