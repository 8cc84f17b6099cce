"""The rows of DIGITS's tables of jobs, for its home page."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timezone
from typing import Any

from django.db.models import Max, Min, QuerySet

from datasets.models import Dataset
from digits_project.jobs.models import ENDED, Job, Status
from digits_project.jobs.visibility import visible
from models_app.api.resources.digits_keys import framework_of
from models_app.api.resources.sparklines import sparklines
from models_app.models import TrainedModel
from models_app.pretrained.pretrained_model import PretrainedModel
from models_app.results import Metric

# The colours of DIGITS's pages.
CSS = {
    Status.INITIALIZED: "warning",
    Status.WAITING: "warning",
    Status.RUNNING: "info",
    Status.DONE: "success",
    Status.ABORTED: "warning",
    Status.ERROR: "danger",
}
BACKEND = "recordio"
MEASURES = ("loss", "accuracy", "learning_rate")
SHOWN = {Metric.Split.TRAIN: ("loss", "accuracy", "learning_rate"), Metric.Split.VAL: ("loss", "accuracy")}
OF_MODEL = ("kind", "dataset", "framework", "engine", "engine_used", "train_epochs")


def tables(window: slice) -> dict[str, Any]:
    """The response to GET /completed_jobs.json: a window of the jobs in progress of each class, and of the others."""
    datasets, models = _rows(Dataset), _rows(TrainedModel, *OF_MODEL)
    open_jobs = [*datasets.exclude(status__in=ENDED)[window], *models.exclude(status__in=ENDED)[window]]
    ended = {"datasets": list(datasets.filter(status__in=ENDED)[window])}
    ended["models"] = list(models.filter(status__in=ENDED)[window])
    ended["pretrained_models"] = list(_rows(PretrainedModel, "labels")[window])
    measured = _outputs([job for job in (*open_jobs, *ended["models"]) if isinstance(job, TrainedModel)])
    rows = {name: table(jobs, measured) for name, jobs in {"running": open_jobs, **ended}.items()}
    names = {name for outputs in measured.values() for name in outputs} - {"sparkline"}
    further = {"has_labels", "username"} if ended["pretrained_models"] else set()
    return {**rows, "model_output_fields": sorted(names | further)}


def table(jobs: Iterable[Job], measured: dict[str, dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """The rows of these jobs. `measured`: the measurements of the models among them, if they are known already."""
    jobs = list(jobs)
    if measured is None:
        measured = _outputs([job for job in jobs if isinstance(job, TrainedModel)])
    return [_row(job) | measured.get(job.pk, {}) for job in jobs]


def _rows(job_class: type[Job], *columns: str) -> QuerySet:
    return visible(job_class).only(*job_class.LISTED, "group_name", *columns).order_by("-created_at", "pk")


def _row(job: Job) -> dict[str, Any]:
    row = {
        "id": job.pk,
        "name": job.name,
        "group": job.group_name,
        "status": job.status,
        "status_css": CSS[Status(job.status)],
        "submitted": round(job.created_at.timestamp(), 3),
        "elapsed": round(_elapsed(job), 3),
        "progress": round(100 * job.progress),
    }
    if isinstance(job, TrainedModel):
        return row | {"type": "model", "framework": framework_of(job), "dataset_id": job.dataset_id}
    if isinstance(job, PretrainedModel):
        own = {"username": job.owner, "has_labels": bool(job.labels)}
        return row | {"type": "pretrained_model", "framework": "mxnet", **own}
    return row | {"type": "dataset", "backend": BACKEND} if isinstance(job, Dataset) else row


def _elapsed(job: Job) -> float:
    """The seconds for which a job has run, or ran."""
    if job.started_at is None:
        return 0.0
    return ((job.ended_at or datetime.now(timezone.utc)) - job.started_at).total_seconds()


def _outputs(models: Sequence[TrainedModel]) -> dict[str, dict[str, Any]]:
    """{model id: its last, smallest and largest values by DIGITS's names, and the sparkline of its loss}, by three
    queries."""
    found: dict[str, dict[str, Any]] = {}
    for row in _extremes(models):
        found.setdefault(row.pop("trained_model"), {}).update(_named(row.pop("split"), row))
    for pk, losses in sparklines(models, "loss", Metric.Split.TRAIN).items():
        found.setdefault(pk, {})["sparkline"] = losses
    return found


def _named(split: str, values: dict[str, Any]) -> dict[str, float]:
    """{"loss (train) last": value} of {"last_loss": value}, without what was not measured."""
    return {
        f"{measure} ({split}) {which}": value
        for measure in SHOWN[Metric.Split(split)]
        for which in ("last", "min", "max")
        if (value := values[f"{which}_{measure}"]) is not None
    }


def _extremes(models: Sequence[TrainedModel]) -> Iterator[dict[str, Any]]:
    """The last, smallest and largest value of each measure, by model and split."""
    measured = Metric.objects.filter(trained_model__in=[model.pk for model in models])
    ends = {f"min_{name}": Min(name) for name in MEASURES} | {f"max_{name}": Max(name) for name in MEASURES}
    newest = measured.order_by("trained_model", "split", "-epoch").distinct("trained_model", "split")
    last = {row[:2]: row[2:] for row in newest.values_list("trained_model", "split", *MEASURES)}
    for row in measured.order_by().values("trained_model", "split").annotate(**ends):
        values = last[row["trained_model"], row["split"]]
        yield row | {f"last_{name}": value for name, value in zip(MEASURES, values, strict=True)}
