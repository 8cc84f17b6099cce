"""Exports the metrics of models as CSV."""

from collections.abc import Iterable, Iterator

from django.db.models import F, Func

from digits_project.common.escaping import END, csv_line
from models_app.models import TrainedModel
from models_app.results import Metric

COLUMNS = ("trained_model_id", "split", "epoch", "iteration", "loss", "accuracy", "learning_rate")
HEADER = ("model", *COLUMNS[1:])


def metrics_csv(models: Iterable[TrainedModel]) -> Iterator[str]:
    """The lines of the CSV: a header, then every measurement of these models, by model, split and epoch.

    Further losses and accuracies have their own columns at the end. Missing values are empty. Memory does not grow with
    the number of measurements.
    """
    measured = Metric.objects.filter(trained_model__in=[model.pk for model in models])
    names = Func(F("outputs"), function="jsonb_object_keys")
    outputs = sorted(measured.order_by().annotate(output=names).values_list("output", flat=True).distinct())
    yield csv_line((*HEADER, *outputs)) + END
    rows = measured.order_by("trained_model_id", "split", "epoch").values_list(*COLUMNS, "outputs")
    for *columns, further in rows.iterator():
        yield csv_line((*columns, *(further.get(name) for name in outputs))) + END
