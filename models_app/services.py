"""The actions on models and snapshots."""

import logging
from collections.abc import Iterator

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Coalesce, Now

from datasets.models import Dataset
from digits_project.accounts import audit
from digits_project.common.errors import BadInput, Gone, Refused
from digits_project.jobs import directory, limits, quota
from digits_project.jobs.models import Status
from digits_project.jobs.services import submit
from digits_project.jobs.visibility import named
from models_app import networks, pruning
from models_app.estimates.disk_room import refuse_without_room
from models_app.estimates.estimate import model_costs
from models_app.estimates.memory_room import refuse_without_memory
from models_app.models import TrainedModel
from models_app.networks import prototxt
from models_app.pretrained.pretrained_model import PretrainedModel
from models_app.results import Snapshot

MAX_COMBINATIONS = 100  # of one form's values
BATCH_SIZE = 16  # DIGITS's default, if neither form nor network names one

log = logging.getLogger(__name__)


def create_models(
    owner: str, dataset: Dataset, name: str, learning_rates: list[float], batch_sizes: list[int | None], **fields
) -> list[TrainedModel]:
    """Create one model for each combination of values, named after it; all of them or, with a ValidationError, none.

    A network that does not fit the dataset's images is refused here, before anything is queued. A batch size of None
    means the network's own.
    """
    made: list[TrainedModel] = []
    try:
        with transaction.atomic():
            fields |= _held(dataset, fields.get("previous"), fields.get("previous_epoch"))
            fields |= _held_pretrained(fields.get("pretrained"))
            for varied in _combinations(name, learning_rates, batch_sizes):
                model = _unsaved(owner, fields | varied, made)
                made.append(submit(model, limited=model.search is None))
            if costs := model_costs(made[0]):
                refuse_without_memory(made, costs)
                refuse_without_room(made, costs)
    except BaseException:
        for model in made:
            directory.remove(model.directory)
        raise
    return made


def check_models(
    owner: str, dataset: Dataset, name: str, learning_rates: list[float], batch_sizes: list[int | None], **fields
) -> list[TrainedModel]:
    """The models that create_models would create, not saved. Raises its ValidationError. Call it in a transaction: the
    rows that the models would be built on stay locked until it ends."""
    fields |= _held(dataset, fields.get("previous"), fields.get("previous_epoch"))
    fields |= _held_pretrained(fields.get("pretrained"))
    checked: list[TrainedModel] = []
    for varied in _combinations(name, learning_rates, batch_sizes):
        checked.append(_unsaved(owner, fields | varied, checked))
        checked[-1].full_clean(exclude=["job_id"])
    return checked


def _unsaved(owner: str, fields: dict, earlier: list[TrainedModel]) -> TrainedModel:
    """A new model. With earlier ones, which differ only in numbers, its network needs no check."""
    model = TrainedModel(owner=owner, **fields)
    model.network_is_checked = bool(earlier)
    if earlier:
        model.usable_engines, model.warnings = earlier[0].usable_engines, earlier[0].warnings
    _refuse_more_snapshots(model)
    if fields["batch_size"] is None:
        model.batch_size = earlier[0].batch_size if earlier else _default_batch_size(model)
    return model


def _refuse_more_snapshots(model: TrainedModel) -> None:
    """Raise ValidationError if the model would keep more snapshots than its owner's limit."""
    most = settings.DIGITS_MAX_SNAPSHOTS
    if not most or not limits.applies_to(model.owner) or model.snapshots_to_keep <= most:
        return
    problem = (
        f"{model.train_epochs} epochs would create {model.snapshots_to_keep:,} snapshots, but a model can keep at "
        f"most {most:,} (DIGITS_MAX_SNAPSHOTS): set a longer snapshot_interval"
    )
    instead = f", or set keep_snapshots to at most {most - 1:,}." if most > 1 else "; 0 takes one snapshot, at the end."
    raise ValidationError({"snapshot_interval": problem + instead})


def _combinations(name: str, learning_rates: list[float], batch_sizes: list[int | None]) -> Iterator[dict]:
    for batch_size in batch_sizes:
        for base in learning_rates:
            rate = f" learning_rate:{base}" if len(learning_rates) > 1 else ""
            size = f" batch_size:{batch_size}" if len(batch_sizes) > 1 else ""
            yield {"name": name + rate + size, "learning_rate": base, "batch_size": batch_size}


def _held(dataset: Dataset, previous: TrainedModel | None, epoch: float | None) -> dict:
    """Lock the dataset and the previous model until the new models are committed, so that neither they nor the snapshot
    can be deleted. Returns the new models' columns about them."""
    found = {"dataset": Dataset.objects.select_for_update(no_key=True).filter(pk=dataset.pk).first()}
    if found["dataset"] is None:
        raise ValidationError({"dataset": "There is no dataset with this id."})
    if previous is None:
        return found
    locked = TrainedModel.objects.select_for_update(no_key=True).filter(pk=previous.pk).first()
    if locked is None:
        raise ValidationError({"previous": "There is no model with this id."})
    if epoch is not None and locked.snapshot_at(epoch) is None:
        raise ValidationError({"previous": f"Its snapshot of epoch {epoch:g} was deleted."})
    try:
        network = locked.network().to_dict()
    except BadInput as wrong:
        raise ValidationError({"previous": str(wrong)}) from wrong
    return found | {"previous": locked, "previous_network": network, "previous_categories": locked.categories}


def _held_pretrained(pretrained: PretrainedModel | None) -> dict:
    """Lock the pretrained model until the new models are committed. Returns the new models' columns about it."""
    if pretrained is None:
        return {}
    locked = PretrainedModel.objects.select_for_update(no_key=True).filter(pk=pretrained.pk).first()
    if locked is None:
        raise ValidationError({"pretrained_networks": "There is no pretrained model with this id."})
    return {"pretrained": locked, **locked.columns()}


def _default_batch_size(model: TrainedModel) -> int:
    """The network's own batch size, else BATCH_SIZE. Raises ValidationError."""
    if model.previous:
        return model.previous.batch_size
    if networks.is_standard(model.standard_network):
        return networks.default_batch_size(model.standard_network)
    if not model.custom_network:
        return BATCH_SIZE
    try:
        return prototxt.batch_size(model.custom_network) or BATCH_SIZE
    except BadInput as wrong:
        raise ValidationError({"custom_network": str(wrong)}) from wrong


def stop_early(model: TrainedModel) -> None:
    """Ask a training that has started to end after its current step, as early stopping does: it writes its last
    snapshot, and the model is Done. A training that waits for a new process ends once it has one.

    Raises Refused or Gone.
    """
    fresh = TrainedModel.objects.filter(pk=model.pk).first()
    if fresh is None:
        raise Gone
    if fresh.status in (Status.INITIALIZED, Status.WAITING) and not fresh.has_run:
        raise Refused(f"{model.name} has not started yet; abort it instead.")
    # The first request counts, and only as long as the training goes on.
    going_on = TrainedModel.objects.filter(
        pk=model.pk, status__in=(Status.WAITING, Status.RUNNING), abort_requested_at=None
    )
    if not going_on.update(stop_requested_at=Coalesce("stop_requested_at", Now())):
        raise Refused(f"{model.name} has ended, or is being aborted ({fresh.status}); there is nothing to stop.")
    audit.record("stop early", str(model))
    model.refresh_from_db()


def keep_snapshot(snapshot: Snapshot, keep: bool) -> None:
    """Mark a snapshot to be kept, or remove the mark."""
    Snapshot.objects.filter(pk=snapshot.pk).update(keep=keep)
    audit.record("keep" if keep else "don't keep", str(snapshot))


def delete_snapshot(snapshot: Snapshot) -> None:
    """Delete a snapshot, its row and its folder. Raises Refused if it is marked to be kept or a job has yet to read
    it."""
    with transaction.atomic():
        TrainedModel.objects.select_for_update().get(pk=snapshot.trained_model_id)
        snapshot.refresh_from_db()
        if snapshot.keep:
            raise Refused(f"The snapshot of epoch {snapshot.epoch:g} is marked to be kept; unmark it first.")
        if user := pruning.user_of(snapshot):
            raise Refused(f"{named(user)} still needs the snapshot of that epoch.")
        Snapshot.objects.filter(pk=snapshot.pk).delete()
        audit.record("delete snapshot", str(snapshot))
    directory.remove(snapshot.directory)
    quota.forget(TrainedModel.objects.filter(pk=snapshot.trained_model_id))
