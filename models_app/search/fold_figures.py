"""The result of a k-fold: the mean and the spread of the figures of its folds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import NamedTuple

from digits_project.jobs.models import Status
from models_app.results import Evaluation, Metric
from models_app.search.trials import Standing


class Spread(NamedTuple):
    """The mean of a figure over the folds, its standard deviation (that of a sample; None for one fold), and its ends.

    folds: how many have the figure.
    """

    folds: int
    mean: float
    deviation: float | None
    lowest: float
    highest: float


class FoldFigures(NamedTuple):
    """The spread of each figure; None as long as no fold has it.

    accuracy: of the best snapshot in validation, which was chosen by the images that it is measured on. last_accuracy:
    of the last validation, which was not. macro_f1: of the evaluations, the mean over the categories with images.
    """

    accuracy: Spread | None
    last_accuracy: Spread | None
    macro_f1: Spread | None


def spread(values: Sequence[float]) -> Spread | None:
    """The spread of these values; None without any."""
    if not values:
        return None
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return Spread(len(values), statistics.fmean(values), deviation, min(values), max(values))


def fold_figures(standings: Sequence[Standing]) -> FoldFigures:
    """The figures of the folds that are Done."""
    done = [one for one in standings if one.model.status == Status.DONE and one.best]
    best = [one.best.accuracy for one in done if one.best and one.best.accuracy is not None]
    models = [one.model.pk for one in done]
    measured = Metric.objects.filter(trained_model__in=models, split=Metric.Split.VAL, accuracy__isnull=False)
    last = (
        measured.order_by("trained_model_id", "-epoch").distinct("trained_model_id").values_list("accuracy", flat=True)
    )
    at_the_end = [accuracy for accuracy in last if accuracy is not None]
    return FoldFigures(spread(best), spread(at_the_end), spread(_macro_f1(models)))


def _macro_f1(models: Sequence[str]) -> list[float]:
    """The macro-F1 of each model's latest evaluation in validation."""
    rows = Evaluation.objects.filter(trained_model__in=models, split=Evaluation.Split.VAL, accuracy__isnull=False)
    rows = rows.order_by("trained_model_id", "-epoch").distinct("trained_model_id")
    return [
        statistics.fmean(row["f1"] for row in categories if row["support"])
        for categories in rows.values_list("categories", flat=True)
        if any(row["support"] for row in categories)
    ]
