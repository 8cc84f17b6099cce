"""The page of a model: what its training does now, its snapshots, its settings, and how to use it elsewhere."""

from datetime import timedelta
from typing import Any, NamedTuple

from django.urls import reverse
from django.utils import timezone

from datasets.imagedb.images.formats import ACCEPTED
from digits_project.accounts import permissions
from digits_project.accounts.viewer import without_paths
from digits_project.jobs import disk_usage
from digits_project.jobs.log_files import tail
from digits_project.jobs.models import ENDED, Device, Status
from digits_project.jobs.overview import time_left
from digits_project.jobs.visibility import is_visible, visible
from models_app import evaluations
from models_app.api.hyperparameter_fields import title_of
from models_app.hyperparameter_columns import IN_COLUMNS
from models_app.models import TrainedModel
from models_app.pages.curves import curves
from models_app.pages.evaluation_figures import figures
from models_app.results import Evaluation, Metric, Snapshot
from models_app.training.hyperparameter_declaration import hyperparameters_of
from models_app.training.learning_rate import LearningRatePolicy

MAX_SNAPSHOTS = 30
LOG_BYTES = 4 << 10
STATIC_POINTS = 200  # of a curve that is drawn without scripts
UNTIL_EVALUATED = timedelta(minutes=1)  # between the end of a training and the row of its evaluation


class Setting(NamedTuple):
    """A setting of a model, and its default."""

    title: str
    value: str
    default: str
    unit: str

    @property
    def differs(self) -> bool:
        return self.value != self.default


def found_model(job_id: str) -> TrainedModel | None:
    """The model, if the user may see it."""
    return visible(TrainedModel).filter(pk=job_id).select_related("dataset").first()


def model_page(model: TrainedModel, request: Any) -> dict[str, Any]:
    """The template context of the whole page."""
    found = evaluations.find(model)
    splits = [split for split in Evaluation.Split.values if model.dataset.entries(split)]
    return {
        **live_part(model, request),
        "charts": static_charts(model),
        "dataset": model.dataset if is_visible(model.dataset) else None,
        "settings": settings_of(model),
        "evaluation": figures(found, {}) if found else None,
        "is_being_evaluated": _is_being_evaluated(model, found),
        "splits": splits if model.declared_kind.is_evaluated else [],
        "is_classifier": model.declared_kind.has_categories,
        "question": model.declared_kind.question,
        "accepted": ACCEPTED,
    }


def live_part(model: TrainedModel, request: Any) -> dict[str, Any]:
    """The template context of the part that changes while the model trains."""
    best = model.best_snapshot
    return {
        "model": model,
        "may_change": permissions.may_change(request, model),
        "now": _now(model),
        "left": time_left(model),
        "use": model.device_use if model.status == Status.RUNNING else {},
        "held": ", ".join(device.label for device in Device.objects.filter(leased_to=model.pk)),
        "snapshots": snapshots_of(model),
        "best": best,
        "newest": model.newest_snapshot,
        "kept": _kept(best),
        "log": without_paths(tail(model.directory / "train.log", LOG_BYTES)),
        "is_ended": model.status in ENDED,
    }


def _now(model: TrainedModel) -> dict[str, Any]:
    """The newest measurement of each split."""
    splits = (Metric.Split.TRAIN, Metric.Split.VAL)
    newest = {str(split): model.metrics.filter(split=split).order_by("-epoch").first() for split in splits}
    last = max((found for found in newest.values() if found), key=lambda measured: measured.epoch, default=None)
    return newest | {"any": last}


def snapshots_of(model: TrainedModel) -> list[Snapshot]:
    """The best and newest snapshots with their accuracy, loss and bytes, the newest first."""
    found = sorted(model.ranked_snapshots()[:MAX_SNAPSHOTS], key=lambda snapshot: -snapshot.epoch)
    for snapshot in found:
        snapshot.trained_model = model
        snapshot.bytes = disk_usage.size(snapshot.directory)
    return found


def _is_being_evaluated(model: TrainedModel, found: Evaluation | None) -> bool:
    """Whether an evaluation waits or runs, or is about to be created because the training has just ended."""
    if found is not None:
        return found.status not in ENDED
    ended = model.ended_at if model.status == Status.DONE else None
    return ended is not None and timezone.now() - ended < UNTIL_EVALUATED


def _kept(best: Snapshot | None) -> str:
    """What a stop and an abort keep."""
    if best is None:
        return "There is no snapshot yet: a training that is stopped early writes one, and an aborted one has none."
    return (
        f"A training that is stopped early writes one more, and is Done. An aborted one keeps these, of which that of "
        f"epoch {best.epoch:g} is the best, and can be resumed."
    )


def static_charts(model: TrainedModel) -> list[dict[str, Any]]:
    """The charts as the component line_chart takes them: title, x, lines."""
    measured = curves(model, STATIC_POINTS)
    columns = {"loss": "Loss", "accuracy": "Accuracy", "learning_rate": "Learning rate"}
    return [_chart(title, name, measured) for name, title in columns.items()]


def _chart(title: str, column: str, measured: dict[str, dict[str, list]]) -> dict[str, Any]:
    splits = [name for name in ("train", "val") if column in measured.get(name, {})]
    splits = splits[:1] if column == "learning_rate" else splits
    x = sorted({epoch for name in splits for epoch in measured[name]["epoch"]})
    lines = {}
    for name in splits:
        at = dict(zip(measured[name]["epoch"], measured[name][column], strict=True))
        if any(value is not None for value in at.values()):
            lines[name] = [at.get(epoch) for epoch in x]
    return {"title": title, "column": column, "x": x, "lines": lines}


def settings_of(model: TrainedModel) -> dict[str, list[Setting]]:
    """{"differ": …, "same": …}: the hyperparameters that differ from their defaults, and the others."""
    declared = {one.wire_name: one for one in (*IN_COLUMNS, *hyperparameters_of(LearningRatePolicy))}
    values = {one.wire_name: getattr(model, one.wire_name) for one in IN_COLUMNS} | model.lr_parameters
    rows = [
        Setting(
            declared[name].title or title_of(name),
            _shown(value),
            "–" if declared[name].is_required else _shown(declared[name].default),
            declared[name].unit,
        )
        for name, value in values.items()
        if name in declared
    ]
    return {"differ": [row for row in rows if row.differs], "same": [row for row in rows if not row.differs]}


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return "–"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value))
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def uses_of(model: TrainedModel, host: str) -> list[dict[str, str]]:
    """How to classify with the model from a shell and from Python, and how to take it away."""
    question, download = reverse(model.declared_kind.question.url_name), reverse("download", args=[model.pk])
    key = "predictions" if model.declared_kind.has_categories else "outputs"
    python = (
        "import requests\n\n"
        'with open("image.jpg", "rb") as image:\n'
        f'    response = requests.post("{host}{question}",\n'
        f'                             data={{"job_id": "{model.pk}"}}, files={{"image_file": image}})\n'
        f'print(response.json()["{key}"])'
    )
    curl = f"curl {host}{question} -F job_id={model.pk} -F image_file=@image.jpg"
    archive = f"curl -o model.tar.gz {host}{download}\ntar xzf model.tar.gz"
    return [
        {"id": "use-curl", "title": "curl", "text": curl},
        {"id": "use-python", "title": "Python", "text": python},
        {"id": "use-archive", "title": "The archive: ONNX, categories, a program that classifies", "text": archive},
    ]
