"""Starts and finds evaluations of a model on images that it was not trained on."""

from contextlib import suppress

from django.db import transaction
from django.db.models import Case, When

from digits_project.accounts import audit
from digits_project.common.errors import BadInput, Gone, IllegalTransition
from digits_project.jobs import services
from digits_project.jobs.models import Status
from models_app.models import TrainedModel
from models_app.results import Evaluation, Snapshot, Which, is_epoch, of_epoch

MAX_OF_NAME = 200


class CanNotEvaluate(Exception):
    """The model, or its dataset, has nothing to evaluate; the text says what is missing."""


def evaluate(model: TrainedModel, split: str, which: Which = None, owner: str = "", limited: bool = True) -> Evaluation:
    """Start an evaluation of a snapshot, as results.chosen() decides, on a split.

    An evaluation that exists already is returned, and resumed if it failed or was aborted. Raises CanNotEvaluate,
    BadInput if there is no snapshot of that epoch, LimitReached (if `limited`), or Gone.
    """
    snapshot = _to_evaluate(model, split, which)
    with transaction.atomic():
        if not TrainedModel.objects.select_for_update(no_key=True).filter(pk=model.pk).exists():
            raise Gone
        evaluation = find(model, split, snapshot.epoch)
        if evaluation is None:
            name = f"{model.name[:MAX_OF_NAME]}, {split} at epoch {snapshot.epoch:g}"
            asked = {"trained_model": model, "epoch": snapshot.epoch, "split": split}
            return services.submit(Evaluation(owner=owner, name=name, **asked), limited)
    if evaluation.status in (Status.ABORTED, Status.ERROR):
        with suppress(IllegalTransition):  # another process created it at the same time
            services.resume(evaluation)
    return evaluation


def repeat(evaluation: Evaluation, owner: str = "") -> Evaluation:
    """Delete an evaluation that has ended, and start it again. Raises what evaluate() and services.delete() raise."""
    model, split, epoch = evaluation.trained_model, evaluation.split, evaluation.epoch
    _to_evaluate(model, split, epoch)
    services.delete(evaluation)
    return evaluate(model, split, epoch, owner)


def find(model: TrainedModel, split: str | None = None, which: Which = None) -> Evaluation | None:
    """An evaluation of a model; None if there is none. Those of the snapshot that answers come first, then Done ones,
    then the latest.

    `split`, `which`: only those of this split or snapshot. The confusion matrix, which can be large, is loaded only
    when it is read.
    """
    found = model.evaluations.defer("confusion_matrix")
    if split:
        found = found.filter(split=split)
    epoch = _epoch_of(model, which)
    if which is not None and epoch is not None:
        found = of_epoch(found, epoch)
    answering_first = Case(When(epoch=epoch, then=0), default=1)
    done_first = Case(When(status=Status.DONE, then=0), default=1)
    return found.order_by(answering_first, done_first, "-ended_at", "-created_at").first()


def _epoch_of(model: TrainedModel, which: Which) -> float | None:
    """The epoch of a snapshot. If an epoch is named, its snapshot can have been deleted after its evaluation."""
    if is_epoch(which):
        return which
    snapshot = model.snapshot_at(which)
    return snapshot.epoch if snapshot else None


def reason_against(model: TrainedModel, split: str | None, which: Which) -> str:
    """A message: the reason why a model can't be evaluated; "" if it can."""
    try:
        _to_evaluate(model, split or _first_split(model) or Evaluation.Split.VAL, which)
    except (CanNotEvaluate, BadInput) as why:
        return str(why)
    return ""


def missing(model: TrainedModel, split: str | None, which: Which) -> str:
    """A message: the reason why there is no such evaluation, or how to request it."""
    if reason := reason_against(model, split, which):
        return reason
    return f"There is no such evaluation of {model.name}; send a POST to this address to create one."


def _first_split(model: TrainedModel) -> str | None:
    return next((name for name in Evaluation.Split.values if model.dataset.entries(name)), None)


def after_training(job_id: str) -> None:
    """Start the evaluation of the best snapshot of a Done model, on its validation images or else on its test images.

    Without such images, or if models of this kind are not evaluated, do nothing.
    """
    model = TrainedModel.objects.filter(pk=job_id, status=Status.DONE).select_related("dataset").first()
    if model is None or not model.declared_kind.is_evaluated:
        return
    split = _first_split(model)
    if split is None:
        return
    with audit.acting(lambda: audit.Actor("the training")):
        evaluate(model, split, owner=model.owner, limited=False)


def _to_evaluate(model: TrainedModel, split: str, which: Which) -> Snapshot:
    if not model.declared_kind.is_evaluated:
        raise CanNotEvaluate(f"{model.name} is not a classifier; only classifiers can be evaluated.")
    if not model.dataset.entries(split):
        raise CanNotEvaluate(f"The dataset of {model.name} has no images for {split}.")
    if not model.snapshots.exists():
        raise CanNotEvaluate(f"{model.name} is {model.status} and has no snapshot yet.")
    snapshot = model.snapshot_at(which)
    if snapshot is None:
        raise BadInput(model.no_snapshot_at(which))
    return snapshot
