"""Deletes snapshots of a model by a rule, and the optimizer's state of those from which no training goes on."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from django.db import transaction

from digits_project.jobs import directory, quota
from digits_project.jobs.models import ENDED, Job, Status
from models_app.models import TrainedModel
from models_app.results import Snapshot, of_epoch
from models_app.training.snapshots.snapshot_reader import FILES

log = logging.getLogger(__name__)


# The newest snapshots from which an unfinished training can go on; the second, if a file of the newest is damaged.
RESUMABLE = 2


@dataclass(frozen=True)
class Rule:
    """Which snapshots to keep: the first `best` by validation, the last `newest`, and each `every`-th (0: none) of
    those that the training has taken, whether they still exist or not."""

    best: int = 1
    newest: int = 1
    every: int = 0


def kept_reasons(model: TrainedModel, rule: Rule) -> dict[int, str]:
    """{snapshot: reason to keep it}. Marked snapshots are kept too, and the one from which a training would resume."""
    ordered = list(model.snapshots.order_by("epoch"))
    reasons: dict[int, str] = {}
    for number, snapshot in zip(_numbers(model, ordered), ordered, strict=True):
        if rule.every and number % rule.every == 0:
            reasons[snapshot.pk] = f"every {rule.every}"
    newest = rule.newest if model.status == Status.DONE else max(rule.newest, 1)
    reasons |= {snapshot.pk: "newest" for snapshot in ordered[len(ordered) - min(newest, len(ordered)) :]}
    reasons |= {snapshot.pk: "best" for snapshot in model.ranked_snapshots()[: rule.best]}
    return reasons | {snapshot.pk: "kept" for snapshot in ordered if snapshot.keep}


def _numbers(model: TrainedModel, ordered: Sequence[Snapshot]) -> Iterable[int]:
    """The number of each snapshot in its training, from 1, which stays the same when others are deleted. If the epochs
    don't follow the interval, as those of an imported model, the snapshots that there are are numbered."""
    interval = model.snapshot_interval
    numbers = [round(snapshot.epoch / interval) for snapshot in ordered] if interval else []
    return numbers if len(set(numbers)) == len(ordered) else range(1, len(ordered) + 1)


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


def after_snapshot(model: TrainedModel) -> None:
    """Delete what a running training no longer needs, once the row of a new snapshot is committed."""
    if rule := rule_of(model):
        newest = RESUMABLE if model.keep_snapshots is None else rule.newest
        prune(model, replace(rule, newest=newest))
    remove_optimizer_states(model, RESUMABLE)


def after_training(model: TrainedModel) -> None:
    """Delete what a training no longer needs after its last step."""
    if rule := rule_of(model):
        prune(model, rule)
    remove_optimizer_states(model, 1)


def rule_of(model: TrainedModel) -> Rule | None:
    """The rule that `keep_snapshots` means; None: keep all."""
    if model.keep_snapshots is None:
        return Rule(every=model.kept_every)
    return Rule(newest=model.keep_snapshots) if model.keep_snapshots else None


def spare_optimizer_states(model: TrainedModel, kept: int | None = None) -> list[Path]:
    """The files of the optimizer's state, the largest part of a snapshot, of all but the newest `kept` snapshots; by
    default of those from which the training can't go on."""
    if kept is None:
        kept = 1 if model.status == Status.DONE else RESUMABLE
    older = model.snapshots.order_by("-iteration", "-epoch")[kept:]
    files = (snapshot.directory / FILES["optimizer"] for snapshot in older)
    return [file for file in files if file.exists()]


def remove_optimizer_states(model: TrainedModel, kept: int | None = None) -> None:
    """Remove the files of spare_optimizer_states()."""
    for file in spare_optimizer_states(model, kept):
        file.unlink(missing_ok=True)
    quota.forget(TrainedModel.objects.filter(pk=model.pk))


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
