"""Inference on lists of images of any length."""

import logging
from collections.abc import Iterator

from inference import services
from inference.certainty import certainties
from inference.engine.batches import Batches
from inference.engine.predictor import percent, ranked
from inference.engine.top_images import BestImages
from inference.image_list import ImageList, ListedImage
from inference.list_accuracy import ListAccuracy
from inference.spooled_response import SpooledResponse
from models_app.models import Snapshot

log = logging.getLogger(__name__)


def classify(
    snapshot: Snapshot,
    images: ImageList,
    accuracy: ListAccuracy | None = None,
    details: bool = False,
    unsure_below: float | None = None,
) -> tuple[SpooledResponse, int]:
    """`{"classifications": {name: [[category, percent], …]}}`, and the number of images that could not be loaded. With
    details `"unsure": {name: whether}` follows, by certainty.certainties().

    Categories in the list are compared with the predictions in `accuracy`. Raises BadInput if no image can be
    classified, or services.CanNotClassify.
    """
    batches = _batches(snapshot, images)
    unsure = SpooledResponse("unsure") if details else None
    rankings = _rankings(snapshot, batches, accuracy, unsure, unsure_below)
    return _written(SpooledResponse("classifications", unsure), rankings, batches)


def infer(snapshot: Snapshot, images: ImageList) -> tuple[SpooledResponse, int]:
    """`{"outputs": {name: {layer: values}}}`, values without batch axis, and the number of images that could not be
    loaded.

    Raises BadInput if no image can be loaded.
    """
    batches = _batches(snapshot, images)
    return _written(SpooledResponse("outputs"), _outputs(snapshot, batches), batches)


def top(snapshot: Snapshot, images: ImageList, most: int) -> tuple[dict[str, list], int]:
    """{category: [[name, percent], …]}, the `most` images with the highest scores of each, and the number of images
    that could not be loaded.

    Raises BadInput if no image can be classified, or services.CanNotClassify.
    """
    categories = snapshot.trained_model.dataset.category_names
    batches, best = _batches(snapshot, images), BestImages(most, len(categories))
    predictor = services.predictor(snapshot)
    for entries, pixels in batches:
        best.add([entry.shown for entry in entries], services.scores(snapshot, predictor, pixels))
    tops = {category: [[name, percent(score)] for name, score in best.of(i)] for i, category in enumerate(categories)}
    return tops, _skipped(batches)


def _batches(snapshot: Snapshot, images: ImageList) -> Batches[ListedImage]:
    read = services.reader(snapshot)
    size = services.predictor(snapshot).most_images
    return Batches(images.entries(), lambda entry: read(images.file(entry.name)), size)


def _rankings(
    snapshot: Snapshot,
    batches: Batches[ListedImage],
    accuracy: ListAccuracy | None,
    unsure: SpooledResponse | None,
    unsure_below: float | None,
) -> Iterator[tuple[str, list[tuple[str, float]]]]:
    predictor, categories = services.predictor(snapshot), snapshot.trained_model.dataset.category_names
    for entries, pixels in batches:
        scores = services.scores(snapshot, predictor, pixels)
        if accuracy:
            accuracy.add([entry.truth for entry in entries], scores)
        if unsure:
            for entry, certainty in zip(entries, certainties(snapshot, scores, unsure_below), strict=True):
                unsure.add(entry.shown, certainty.unsure)
        for entry, row in zip(entries, scores, strict=True):
            yield entry.shown, ranked(row, categories)


def _outputs(snapshot: Snapshot, batches: Batches[ListedImage]) -> Iterator[tuple[str, dict]]:
    predictor = services.predictor(snapshot)
    for entries, pixels in batches:
        outputs = predictor.outputs(pixels)
        for i, entry in enumerate(entries):
            yield entry.shown, services.as_lists(snapshot, {layer: values[i] for layer, values in outputs.items()})


def _written(
    response: SpooledResponse, entries: Iterator[tuple[str, object]], batches: Batches
) -> tuple[SpooledResponse, int]:
    try:
        for name, value in entries:
            response.add(name, value)
    except BaseException:
        response.close()
        raise
    return response, _skipped(batches)


def _skipped(batches: Batches) -> int:
    if batches.skipped:
        log.info("%d images of a list were skipped; the first is %r", batches.skipped, batches.first_fault)
    return batches.skipped
