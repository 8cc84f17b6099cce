"""The viewset of inference."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from django.http import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.decorators import action
from rest_framework.exceptions import ValidationError
from rest_framework.response import Response

from datasets.imagedb import BadImage
from digits_project.accounts import throttling
from digits_project.accounts.roles import Role
from digits_project.api import error_statuses, wire_format
from digits_project.api.browsable import PageResponse
from digits_project.api.forms import Form
from digits_project.api.openapi import errors
from digits_project.api.viewsets import FormViewSet
from digits_project.common.errors import BadInput
from digits_project.jobs.api.views import WITHOUT_PAGE, fetch
from digits_project.monitoring.metrics import INFERENCE_SECONDS
from inference import bulk, services
from inference.api.archive_responses import archive_response
from inference.api.asked_snapshots import chosen_snapshot, named_model
from inference.api.inference_responses import (
    ARCHIVES,
    CLASSIFICATIONS,
    FORM,
    JOB_ID,
    ONNX,
    OUTPUTS,
    OUTPUTS_OF_MANY,
    PREDICTIONS,
    SKIPPED,
    TOP_N,
    UNSURE,
)
from inference.api.serializers import (
    CertaintyQuery,
    ClassifyForm,
    ClassifyQuery,
    DownloadForm,
    ImageListForm,
    OneImageForm,
    PostedDownloadForm,
    TopForm,
    VisualizationsForm,
)
from inference.certainty import Certainty, certainties
from inference.engine.array_picture import picture
from inference.explanations import explain
from inference.inference_kinds import QUESTIONS
from inference.list_accuracy import ListAccuracy
from inference.visualizations import visualizations
from models_app.models import Snapshot, TrainedModel

DEFAULT_FORM = "tar.gz"
SNAPSHOT_HEADER = "X-Digits-Snapshot"
BAR, HEIGHT = 8, 40  # pixels of a histogram on a page
QUESTION: dict[str, Any] = {"detail": False, "methods": ["post"]}
DOWNLOAD: dict[str, Any] = {
    "detail": True,
    "name": "Download",
    "role": Role.VIEWER,
    "throttle_classes": (),
    **WITHOUT_PAGE,
    "serializer_class": PostedDownloadForm,
}


class InferenceViewSet(FormViewSet):
    """Inference with a snapshot of the model that `job_id` names.

    Responses have no keys that clients do not know: JSON has the weights and activations of the layers only with
    `?visualizations=1`, a page only with the form's `show_visualizations`.
    """

    role = Role.VIEWER
    throttle_classes = (throttling.InferenceRate,)
    page_template = "inference/result.html"
    _answering: Snapshot | None = None
    _certainty: Certainty | None = None

    @extend_schema(responses={200: PREDICTIONS, **errors(404, 409, 422)}, parameters=[JOB_ID, ClassifyQuery, UNSURE])
    @action(
        name="Classify",
        button="Classify",
        serializer_class=ClassifyForm,
        page_template="inference/classify.html",
        **QUESTION,
    )
    def classify_one(self, request, format=None):
        """Classify one image with a snapshot of a model: `job_id`, and one of `image_file`, `image_path`, `image_url`."""  # noqa: E501
        snapshot, form = self._question()
        with self._measured(form):
            asked = self._query(ClassifyQuery)
            pixels = services.reader(snapshot)(form["image"])
            temperature = services.temperature_of(snapshot) if asked.get("calibrated") else 1.0
            scores = services.scores_of_one(snapshot, pixels)
            ranked = services.ranking(snapshot, scores, temperature)
            [self._certainty] = certainties(snapshot, scores, asked.get("unsure_below"))
            answer = {"predictions": wire_format.predictions(ranked)}
            if asked.get("details"):
                answer |= self._certainty.as_json()
            shown: dict[str, Any] = {"predictions": ranked, "certainty": self._certainty}
            if asked.get("explain"):
                answer["explanation"] = explain(snapshot, pixels, asked["explain_category"])
            if form["show_explanation"] and not self._in_json:
                shown["explanation"] = explain(snapshot, pixels)
            return self._about_image(answer, snapshot, pixels, form, asked, **shown)

    @extend_schema(responses={200: OUTPUTS, **errors(404, 409, 422)}, parameters=[JOB_ID, VisualizationsForm])
    @action(name="Outputs for an image", button="Compute the outputs", serializer_class=OneImageForm, **QUESTION)
    def infer_one(self, request, format=None):
        """Every output of a network for one image: `job_id`, and one of `image_file`, `image_path`, `image_url`."""
        snapshot, form = self._question()
        with self._measured(form):
            pixels = services.reader(snapshot)(form["image"])
            outputs = services.infer(snapshot, pixels)
            asked = self._query(VisualizationsForm)
            return self._about_image({"outputs": outputs}, snapshot, pixels, form, asked, outputs=_pairs(outputs))

    @extend_schema(responses={200: CLASSIFICATIONS, **errors(404, 409)}, parameters=[JOB_ID, CertaintyQuery, SKIPPED])
    @action(name="Classify a list of images", button="Classify", serializer_class=ImageListForm, **QUESTION)
    def classify_many(self, request, format=None):
        """Classify the images of a list, one path on each line: `job_id`, `image_list` and perhaps `image_folder`.

        If the number of a category follows each path, the page shows the accuracy and the confusion matrix.
        """
        snapshot, form = self._question()
        with self._measured(form):
            categories = snapshot.trained_model.dataset.category_names
            accuracy = None if self._in_json else ListAccuracy(categories)
            asked = self._query(CertaintyQuery) if self._in_json else {"details": True}
            with throttling.one_of_few_lists(request):
                answer, skipped = bulk.classify(snapshot, form["images"], accuracy, **asked)
            return self._about_list(answer, skipped, list_accuracy=accuracy)

    @extend_schema(responses={200: OUTPUTS_OF_MANY, **errors(404, 409)}, parameters=[JOB_ID, SKIPPED])
    @action(
        name="Outputs for a list of images", button="Compute the outputs", serializer_class=ImageListForm, **QUESTION
    )
    def infer_many(self, request, format=None):
        """Every output of a network for the images of a list, one path on each line: `job_id`, `image_list`."""
        snapshot, form = self._question()
        with self._measured(form):
            with throttling.one_of_few_lists(request):
                answer, skipped = bulk.infer(snapshot, form["images"])
            return self._about_list(answer, skipped)

    @extend_schema(responses={200: TOP_N, **errors(404, 409)}, parameters=[JOB_ID, SKIPPED])
    @action(name="Surest images of each category", button="Find the images", serializer_class=TopForm, **QUESTION)
    def top_n(self, request, format=None):
        """The images of a list with the highest scores for each category: `job_id`, `image_list`, `top_n`."""
        snapshot, form = self._question()
        with self._measured(form), throttling.one_of_few_lists(request):
            best, skipped = bulk.top(snapshot, form["images"], form["top_n"])
        shown = {"skipped": skipped, "by_category": _pairs(best)}
        return PageResponse({"top_n": best}, headers={SKIPPED.name: skipped}, **shown)

    @extend_schema(responses={**ARCHIVES, **errors(409)}, parameters=[DownloadForm])
    @action(**DOWNLOAD)
    def download(self, request, job_id):
        """An archive with everything that is needed to run a snapshot elsewhere; `?epoch=` names it."""
        return archive_response(request, job_id, DEFAULT_FORM, self._posted())

    @extend_schema(responses={**ARCHIVES, **ONNX, **errors(409)}, parameters=[FORM, DownloadForm])
    @action(**DOWNLOAD)
    def download_as(self, request, job_id, form):
        """An archive with everything that is needed to run a snapshot elsewhere, or with `onnx` the network alone;
        `?epoch=` names the snapshot."""
        return archive_response(request, job_id, form, self._posted())

    def _posted(self) -> dict:
        """The valid form of a download by POST; empty for a GET."""
        return self.valid_form(self.request.data).validated_data if self.request.method == "POST" else {}

    @property
    def _in_json(self) -> bool:
        return self.request.accepted_renderer.format == "json"

    def _question(self) -> tuple[Snapshot, dict]:
        """(snapshot, valid form) of the request. Raises exceptions that become responses with an error."""
        job_id = named_model(self.request)
        try:
            form = self.valid_form(self.request.data).validated_data
        except (ValidationError, BadInput):
            fetch(TrainedModel, job_id)  # an unknown model is reported before anything else
            raise
        self._answering = chosen_snapshot(job_id, form["snapshot_epoch"])
        return self._answering, form

    def finalize_response(self, request, response, *args, **kwargs):
        """Name the epoch of the snapshot, and whether its answer is unsure, in headers, since the bodies have no keys
        that clients do not know."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if self._answering:
            response[SNAPSHOT_HEADER] = f"{self._answering.epoch:g}"
        if self._certainty and self._certainty.unsure is not None:
            response[UNSURE.name] = str(self._certainty.unsure).lower()
        return response

    @contextmanager
    def _measured(self, form: dict) -> Iterator[None]:
        """Record for /metrics how long the block takes, and turn its exceptions into those of the API."""
        try:
            with INFERENCE_SECONDS.time(_measured_route(self.action)):
                yield
        except (services.CanNotClassify, services.NotCalibrated) as unable:
            raise error_statuses.Conflict(str(unable)) from unable
        except BadImage as broken:
            named = f"{form['image']}: " if isinstance(form["image"], Path) else ""
            raise error_statuses.Undecodable(f"{named}{broken}") from broken

    def _query(self, form: type[Form]) -> dict:
        """The valid query string of a request for JSON; empty without one. Raises ValidationError."""
        query = self.request.query_params
        return form.valid_values(query) if query and self._in_json else {}

    def _about_image(
        self, answer: dict, snapshot: Snapshot, pixels: np.ndarray, form: dict, asked: dict, **shown
    ) -> Response:
        """The response about one image, `asked`: the query string; the page shows the image too, and `shown`."""
        if self._in_json:
            if asked.get("visualizations"):
                answer["visualizations"] = visualizations(snapshot, pixels)
            return Response(answer)
        image = picture(pixels.transpose(2, 0, 1), colour=True, span=(0, 255))
        layers = _with_bars(visualizations(snapshot, pixels)) if form["show_visualizations"] else []
        return PageResponse(answer, image=image, visualizations=layers, **shown)

    def _about_list(self, answer: bulk.SpooledResponse, skipped: int, **shown) -> HttpResponseBase:
        """The response about a list of images; the page shows a table of them, and `shown`."""
        if self._in_json:
            return answer.response({SKIPPED.name: skipped})
        value = answer.value()
        found, unsure = next(iter(value.values())), value.get("unsure", {})
        by_image = [(name, _pairs(answer), unsure.get(name)) for name, answer in found.items()]
        return PageResponse(value, headers={SKIPPED.name: skipped}, skipped=skipped, by_image=by_image, **shown)


def _pairs(value: Any) -> Any:
    """A dict as a list of items. In a template, `{{ dict.items }}` would be the entry named "items" if there is one."""
    return list(value.items()) if isinstance(value, dict) else value


def _with_bars(visualizations: list[dict]) -> list[dict]:
    """The visualizations, each with `bars`: its histogram as the path of an SVG."""
    return [entry | {"bars": _bars(entry)} for entry in visualizations]


def _bars(entry: dict) -> str:
    counts = (entry["data_stats"]["histogram"] or [[]])[0]
    heights = [round(HEIGHT * count / max(counts), 1) for count in counts]
    bars = [f"M{BAR * i},{HEIGHT}v{-height}h{BAR - 1}v{height}z" for i, height in enumerate(heights)]
    return "".join(bars)


def _measured_route(action: str) -> str:
    """The route's name for /metrics: ClassifyOne, as dashboards name it."""
    return "".join(word.capitalize() for word in action.split("_"))


INFERENCE_SECONDS.declare(_measured_route(action) for actions in QUESTIONS.values() for action in actions)
