"""The page of a cell of a confusion matrix: the images of one category that a snapshot predicts as another."""

from typing import Any, NamedTuple

import numpy as np
from rest_framework import serializers
from rest_framework.exceptions import NotFound

from datasets.contents import gallery
from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.store.records import RecordReader
from digits_project.accounts import throttling
from digits_project.accounts.roles import Role
from digits_project.api.browsable import PageResponse
from digits_project.api.error_statuses import Conflict
from digits_project.api.forms import Form
from digits_project.api.viewsets import PageView
from digits_project.common.errors import BadInput
from digits_project.jobs.api.views import fetch
from digits_project.jobs.visibility import is_visible
from inference import services
from inference.engine.predictor import percent
from models_app.models import Snapshot, TrainedModel
from models_app.results import Evaluation

MAX_IMAGES = 300  # that are classified for a page
BATCH = 32


class CellQuery(Form):
    """The query string: the split and the snapshot of the evaluation, and the numbers of two categories."""

    split = serializers.ChoiceField(Evaluation.Split.values, default=Evaluation.Split.VAL.value)
    epoch = serializers.FloatField(min_value=0)
    true = serializers.IntegerField(min_value=0, max_value=100_000)
    predicted = serializers.IntegerField(min_value=0, max_value=100_000)


class CellImage(NamedTuple):
    """An image in a cell, and the scores of the predicted and the true category in percent."""

    record: int
    confidence: float
    of_truth: float


class MatrixCell(PageView):
    """The images of a cell, which the snapshot classifies again."""

    role = Role.VIEWER
    throttle_classes = (throttling.InferenceRate,)

    def get_view_name(self):
        return "Images of a cell"

    def get(self, request, job_id):
        model = fetch(TrainedModel, job_id)
        asked, names = CellQuery.valid_values(request.query_params), model.dataset.category_names
        snapshot = model.snapshot_at(asked["epoch"])
        if snapshot is None or max(asked["true"], asked["predicted"]) >= len(names) or not is_visible(model.dataset):
            raise NotFound("Job not found")
        records = [int(record) for record in gallery.matching(model.dataset, asked["split"], asked["true"])]
        shown: dict[str, Any] = {
            "model": model,
            "split": asked["split"],
            "epoch": asked["epoch"],
            "true": names[asked["true"]],
            "predicted": names[asked["predicted"]],
            "likelier": names[asked["predicted"]] if asked["predicted"] != asked["true"] else "",
            "images": _images(snapshot, asked, records[:MAX_IMAGES]),
            "looked_at": min(len(records), MAX_IMAGES),
            "count": len(records),
        }
        return PageResponse({}, "inference/matrix_cell.html", json_address="", **shown)


def _images(snapshot: Snapshot, asked: dict, records: list[int]) -> list[CellImage]:
    """The images among these records that are predicted as asked, the surest first."""
    predictor = services.predictor(snapshot)
    path = snapshot.trained_model.dataset.directory / f"{asked['split']}.rec"
    size = max(1, min(BATCH, predictor.most_images))
    found: list[CellImage] = []
    try:
        with RecordReader(path) as reader:
            for first in range(0, len(records), size):
                some = records[first : first + size]
                pixels = np.stack([decode_record(reader[record][1]) for record in some])
                scores = services.scores(snapshot, predictor, pixels)
                found += _of_cell(scores, some, asked["true"], asked["predicted"])
    except (services.CanNotClassify, BadInput) as unable:
        raise Conflict(str(unable)) from unable
    return sorted(found, key=lambda image: -image.confidence)


def _of_cell(scores: np.ndarray, records: list[int], true: int, predicted: int) -> list[CellImage]:
    return [
        CellImage(record, percent(float(row[predicted])), percent(float(row[true])))
        for record, row in zip(records, scores, strict=True)
        if row.argmax() == predicted
    ]
