"""Which snapshots of a model may go, and their going."""

import logging

from django.db import transaction

from digits_project.jobs import directory
from digits_project.jobs.models import ENDED, Job
from models_app.models import TrainedModel
from models_app.results import SAME_EPOCH, Snapshot, of_epoch

log = logging.getLogger(__name__)


def prune(model: TrainedModel, newest: int, every: float = 0) -> list[Snapshot]:
    """Delete what superfluous() names, rows and folders. Whoever has one of them open goes on with it."""
    with transaction.atomic():
        TrainedModel.objects.select_for_update(no_key=True).filter(pk=model.pk).first()  # no successor comes in between
        gone = superfluous(model, newest, every)
        Snapshot.objects.filter(pk__in=[snapshot.pk for snapshot in gone]).delete()
    for snapshot in gone:
        directory.remove(snapshot.directory)
        log.info("Deleted the snapshot of %s", snapshot)
    return gone


def superfluous(model: TrainedModel, newest: int, every: float = 0) -> list[Snapshot]:
    """The snapshots that nobody needs, oldest first, when the `newest` so many stay, and those of every `every` epochs.

    Never the newest of all, the best, one that is to be kept, or one that a job that has not ended is still to read.
    """
    kept = set(model.snapshots.order_by("-epoch").values_list("pk", flat=True)[: max(1, newest)])
    if best := model.best_snapshot:
        kept.add(best.pk)
    others = model.snapshots.exclude(pk__in=kept).filter(keep=False).order_by("epoch")
    return [snapshot for snapshot in others if not _comes_with(snapshot.epoch, every) and user_of(snapshot) is None]


def user_of(snapshot: Snapshot) -> Job | None:
    """A job that has not ended and is still to read this snapshot: a model that starts from it, or an evaluation."""
    model = snapshot.trained_model
    by_path = TrainedModel.objects.filter(custom_network_snapshot__startswith=f"{snapshot.directory.resolve()}/")
    readers = (
        of_epoch(model.successors, snapshot.epoch, "previous_epoch"),
        by_path,
        of_epoch(model.evaluations, snapshot.epoch),
    )
    return next((job for jobs in readers if (job := jobs.exclude(status__in=ENDED).first())), None)


def _comes_with(epoch: float, every: float) -> bool:
    return bool(every) and abs(epoch - every * round(epoch / every)) < SAME_EPOCH
