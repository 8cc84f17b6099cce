"""Data of a training's charts: curves for pages, sparklines for lists."""

import math
from collections.abc import Sequence

from django.db.models import Avg, F
from django.db.models.functions import Floor

from models_app.models import TrainedModel
from models_app.results import Metric, thinned

MAX_POINTS = 2000  # of a curve
COLUMNS = ("epoch", "loss", "accuracy", "learning_rate")
SPARKS = 40  # points of a sparkline


def curves(model: TrainedModel, most: int = MAX_POINTS) -> dict[str, dict[str, list]]:
    """{split: {epoch, loss, accuracy, learning_rate, further outputs by name}} of each measured split.

    At most `most` points per curve, thinned evenly, with the first and the last. Values that are not finite are None.
    """
    found = {split: _points(model, split, most) for split in Metric.Split.values}
    return {split: points for split, points in found.items() if points["epoch"]}


def _points(model: TrainedModel, split: str, most: int) -> dict[str, list]:
    rows = list(thinned(model.metrics.filter(split=split), most).values_list(*COLUMNS, "outputs"))
    points = {name: [_number(row[i]) for row in rows] for i, name in enumerate(COLUMNS)}
    for name in dict.fromkeys(name for row in rows for name in row[-1]):
        points.setdefault(name, [_number(row[-1].get(name)) for row in rows])
    return points


def _number(value) -> float | None:
    """The value, or None if it is not finite, because JSON has no NaN."""
    return value if isinstance(value, (int, float)) and math.isfinite(value) else None


def sparklines(models: Sequence[TrainedModel]) -> dict[str, list[float]]:
    """{model id: about forty validation accuracies in the order of the epochs}, with one query."""
    share = Floor(F("epoch") * SPARKS / F("trained_model__train_epochs"))
    measured = Metric.objects.filter(trained_model__in=[model.pk for model in models], split=Metric.Split.VAL)
    measured = measured.exclude(accuracy=None).annotate(share=share).order_by("trained_model", "share")
    lines: dict[str, list[float]] = {}
    for pk, _, accuracy in measured.values_list("trained_model", "share").annotate(Avg("accuracy")):
        lines.setdefault(pk, []).append(accuracy)
    return lines
