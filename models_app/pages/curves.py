"""Data of a training's charts."""

import math

from models_app.models import TrainedModel
from models_app.results import Metric, thinned

MAX_POINTS = 2000  # of a curve
COLUMNS = ("epoch", "loss", "accuracy", "learning_rate")


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
