"""Short courses of losses and accuracies, for lists."""

import math
from collections.abc import Sequence

from django.db.models import Avg, F
from django.db.models.functions import Floor

from models_app.models import TrainedModel
from models_app.results import Metric

SPARKS = 40  # points of a sparkline


def sparklines(
    models: Sequence[TrainedModel], column: str = "accuracy", split: str = Metric.Split.VAL
) -> dict[str, list[float]]:
    """{model id: about forty values of this column, by default validation accuracies, in the order of the epochs},
    with one query."""
    share = Floor(F("epoch") * SPARKS / F("trained_model__train_epochs"))
    measured = Metric.objects.filter(trained_model__in=[model.pk for model in models], split=split)
    measured = measured.exclude(**{column: None}).annotate(share=share).order_by("trained_model", "share")
    lines: dict[str, list[float]] = {}
    for pk, _, value in measured.values_list("trained_model", "share").annotate(Avg(column)):
        if math.isfinite(value):
            lines.setdefault(pk, []).append(value)
    return lines
