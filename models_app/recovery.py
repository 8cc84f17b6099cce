"""Finds the snapshot from which a training resumes after a lost process, a stop or an abort."""

import logging
import shutil

from models_app.models import Snapshot, TrainedModel
from models_app.training.snapshots.snapshot_reader import can_resume

log = logging.getLogger(__name__)


def go_on_from(model: TrainedModel) -> Snapshot | None:
    """The newest snapshot that is complete and has the optimizer's state; None: start from the beginning.

    Later rows and files are deleted, because the training will produce them again.
    """
    snapshot = next((s for s in model.snapshots.order_by("-iteration") if can_resume(s.directory)), None)
    reached = snapshot.iteration if snapshot else -1
    model.snapshots.filter(iteration__gt=reached).delete()
    model.metrics.filter(iteration__gt=reached).delete()
    _remove_all_but(model, set(model.snapshots.values_list("folder", flat=True)))
    share = min(snapshot.epoch / model.train_epochs, 1) if snapshot else 0
    TrainedModel.objects.filter(pk=model.pk).update(stopped_epoch=None, resumed_from=share)
    if snapshot:
        log.info("%s continues from epoch %g", model, snapshot.epoch)
    return snapshot


def _remove_all_but(model: TrainedModel, folders: set[str]) -> None:
    """Remove snapshot folders without a row, and incomplete ones."""
    for directory in model.directory.glob("snapshots/*"):
        if directory.relative_to(model.directory).as_posix() not in folders:
            shutil.rmtree(directory)
