"""Runs an evaluation: a snapshot on the images of a split, with the result stored in the row."""

import math
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import numpy as np

from datasets.imagedb.images.decoding import decode_record
from datasets.imagedb.store.records import RecordReader
from datasets.integrity import check_dataset
from digits_project.common.errors import BadInput
from digits_project.common.resources import usable_cores
from inference import image_answers, services
from inference.engine.classification_metrics import Figures
from inference.engine.predictor import percent
from inference.inference_kinds import METRICS
from models_app.results import Evaluation, Snapshot, fitted

MAX_BYTES = 8 << 20  # of a batch; an abort is noticed between batches
BYTES_A_VALUE = 4


def evaluate(evaluation: Evaluation, report: Callable[[float], None]) -> None:
    """Run the evaluation and store its result. Raises BadInput if the snapshot or a record can't be used."""
    model = evaluation.trained_model
    snapshot = model.snapshot_at(evaluation.epoch)
    if snapshot is None:
        raise BadInput(f"The snapshot of epoch {evaluation.epoch:g} was deleted.")
    check_dataset(model.dataset, (evaluation.split,), lambda: report(0.0))
    with services.whole(snapshot):
        predictor = services.load(snapshot.onnx_file)
    found = METRICS[model.kind](len(model.dataset.categories), *_fitted_before(evaluation, snapshot))
    records = model.dataset.directory / f"{evaluation.split}.rec"
    fitting = MAX_BYTES // (BYTES_A_VALUE * math.prod(model.dataset.image_shape))
    answers = image_answers.Collected()
    try:
        for done, truths, pixels in _batches(records, max(1, min(fitting, predictor.most_images))):
            scores = services.scores(snapshot, predictor, pixels)
            found.add(truths, scores)
            answers.add(truths, scores)
            report(done)
    except services.CanNotClassify as unable:
        raise BadInput(str(unable)) from unable
    answers.write(evaluation.directory)
    _store(evaluation, found.figures())


def _fitted_before(evaluation: Evaluation, snapshot: Snapshot) -> tuple[float | None, float | None]:
    """(temperature, unsure_below) of the evaluation on the validation images; (None, None) if this one fits them."""
    if evaluation.split == Evaluation.Split.VAL:
        return None, None
    judged = Snapshot.objects.annotate(**fitted()).get(pk=snapshot.pk)
    return judged.temperature, judged.unsure_below


def _batches(records: Path, size: int) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """(fraction of the images done after it, true categories, pixels N×H×W×C) for each batch."""
    with RecordReader(records) as reader, ThreadPoolExecutor(usable_cores()) as pool:
        for first in range(0, len(reader), size):
            numbers = range(first, min(first + size, len(reader)))
            labels, pixels = zip(*pool.map(lambda number: _decoded(reader[number]), numbers), strict=True)
            yield numbers.stop / len(reader), np.array(labels, np.int64), np.stack(pixels)


def _decoded(record: tuple[float, bytes]) -> tuple[float, np.ndarray]:
    label, payload = record
    return label, decode_record(payload)


def _store(evaluation: Evaluation, figures: Figures) -> None:
    names = evaluation.trained_model.dataset.category_names
    listing = evaluation.trained_model.dataset.directory / f"{evaluation.split}.txt"
    paths = _paths(listing, {error.number for error in figures.worst})
    outcome = asdict(figures)
    outcome["categories"] = [
        {"category": name, **asdict(of_category)} for name, of_category in zip(names, figures.categories, strict=True)
    ]
    outcome["worst_errors"] = [
        {
            "record": error.number,
            "path": paths.get(error.number, ""),
            "category": names[error.truth],
            "answer": names[error.answer],
            "confidence": percent(error.confidence),
        }
        for error in figures.worst
    ]
    outcome["most_confused"] = [
        {"category": names[truth], "answer": names[answer], "images": count}
        for truth, answer, count in figures.most_confused
    ]
    for column in Evaluation.RESULTS:
        setattr(evaluation, column, outcome[column])
    evaluation.save(update_fields=Evaluation.RESULTS)


def _paths(listing: Path, numbers: Collection[int]) -> dict[int, str]:
    """{number: path} of these records, from the dataset's list; {} if the list is missing."""
    try:
        with listing.open("rb") as lines:
            found = {number: line for number, line in enumerate(lines) if number in numbers}
    except FileNotFoundError:
        return {}
    # "path label"; a path that is not UTF-8 can't be stored in the database
    return {number: line.rpartition(b" ")[0].decode(errors="backslashreplace") for number, line in found.items()}
