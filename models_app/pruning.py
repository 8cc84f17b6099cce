"""Deletes snapshots of a model by a rule."""

import logging
from dataclasses import dataclass

from django.db import transaction

from digits_project.jobs import directory, quota
from digits_project.jobs.models import ENDED, Job
from models_app.models import TrainedModel
from models_app.results import Snapshot, of_epoch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rule:
    """Which snapshots to keep: the first `best` by validation, the last `newest`, and each `every`-th (0: none)."""

    best: int = 1
    newest: int = 1
    every: int = 0


def kept_reasons(model: TrainedModel, rule: Rule) -> dict[int, str]:
    """{snapshot: reason to keep it}. Marked snapshots are kept too, and the one from which a training would resume."""
    ordered = list(model.snapshots.order_by("epoch"))
    reasons: dict[int, str] = {}
    for number, snapshot in enumerate(ordered, 1):
        if rule.every and number % rule.every == 0:
            reasons[snapshot.pk] = f"every {rule.every}"
    newest = rule.newest if model.has_ended else max(rule.newest, 1)
    reasons |= {snapshot.pk: "newest" for snapshot in ordered[len(ordered) - min(newest, len(ordered)) :]}
    reasons |= {snapshot.pk: "best" for snapshot in model.ranked_snapshots()[: rule.best]}
    return reasons | {snapshot.pk: "kept" for snapshot in ordered if snapshot.keep}


def prunable(model: TrainedModel, rule: Rule) -> list[Snapshot]:
    """The snapshots that can be deleted, in the order of the epochs."""
    return list(model.snapshots.order_by("epoch").exclude(pk__in=kept_reasons(model, rule)))


def prune(model: TrainedModel, rule: Rule) -> list[Snapshot]:
    """Delete the prunable snapshots that no job still needs, rows and folders. A process that has one open can
    continue to read it."""
    with transaction.atomic():
        TrainedModel.objects.select_for_update(no_key=True).filter(
            pk=model.pk
        ).first()  # no new model can start meanwhile
        gone = [snapshot for snapshot in prunable(model, rule) if user_of(snapshot) is None]
        Snapshot.objects.filter(pk__in=[snapshot.pk for snapshot in gone]).delete()
    for snapshot in gone:
        directory.remove(snapshot.directory)
    quota.forget(TrainedModel.objects.filter(pk=model.pk))
    for snapshot in gone:
        log.info("Deleted the snapshot of %s", snapshot)
    return gone


def user_of(snapshot: Snapshot) -> Job | None:
    """A job that still needs this snapshot: a model that will start from it, or an evaluation; None if there is
    none."""
    model = snapshot.trained_model
    by_path = TrainedModel.objects.filter(custom_network_snapshot__startswith=f"{snapshot.directory.resolve()}/")
    readers = (
        of_epoch(model.successors.all(), snapshot.epoch, "previous_epoch"),
        by_path,
        of_epoch(model.evaluations.all(), snapshot.epoch),
    )
    return next((job for jobs in readers if (job := jobs.exclude(status__in=ENDED).first())), None)
