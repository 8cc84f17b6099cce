"""What may be done with models."""

import logging
from dataclasses import asdict
from functools import partial

from django.core.exceptions import ValidationError
from django.db import transaction

from datasets import services as datasets
from datasets.models import Dataset
from digits_project.jobs import devices
from digits_project.jobs.models import Device
from digits_project.jobs.runner import Progress, Stopped, patiently
from digits_project.jobs.services import submit
from models_app import networks, recovery, trainer
from models_app.models import Metric, Snapshot, TrainedModel
from models_app.training.config import TrainConfig

log = logging.getLogger(__name__)


def create_model(owner: str, dataset: Dataset, **fields) -> TrainedModel:
    """Record the request and let dispatch queue it. Raises ValidationError, nothing saved.

    A network that does not fit the dataset's images is refused here, before anything is queued.
    """
    if fields.get("batch_size") is None:
        fields["batch_size"] = networks.default_batch_size(fields["standard_network"])
    with transaction.atomic():
        # Held until the model is there, so that nobody deletes the dataset in between.
        locked = Dataset.objects.select_for_update(no_key=True).filter(pk=dataset.pk).first()
        if locked is None:
            raise ValidationError({"dataset": "There is no dataset of that id."})
        return submit(TrainedModel(owner=owner, dataset=locked, **fields))


def train_config(model: TrainedModel, device: Device, resume_from: Snapshot | None = None) -> TrainConfig:
    """What the trainer needs of a model and its dataset, as a plain value."""
    records = model.dataset.directory
    return TrainConfig(
        network=model.network().to_dict(),
        image_shape=model.dataset.image_shape,
        framework=model.framework,
        train_records=str(records / "train.rec"),
        val_records=str(records / "val.rec") if model.dataset.entries("val") else None,
        mean_file=str(datasets.mean_file(model.dataset)),
        use_mean=model.use_mean,
        labels_file=str(records / "labels.txt"),
        directory=str(model.directory),
        epochs=model.train_epochs,
        batch_size=min(model.batch_size, model.dataset.entries("train")),  # more would only repeat images
        snapshot_interval=model.snapshot_interval,
        val_interval=model.val_interval,
        solver_type=model.solver_type,
        random_seed=model.random_seed,
        device=device.label,
        resume_from=str(resume_from.directory) if resume_from else None,
        **asdict(model.policy()),
    )


def train(model: TrainedModel, report: Progress) -> None:
    """Train a running job's network to its end, and keep its rows up to date on the way."""
    held = devices.held_by(model)
    if not held:
        raise Stopped  # dispatched to another host meanwhile
    snapshot = recovery.go_on_from(model)
    config = model.directory / "config.json"
    config.write_text(train_config(model, held[0], snapshot).to_json())
    with trainer.events(config, model.directory / "train.log") as events:
        for event in events:
            store = STORE.get(event["event"]) if event else None
            if store:
                patiently(partial(store, model, event))
            report(event.get("fraction") if event else None)


def _store_metric(model: TrainedModel, event: dict) -> None:
    """Once, also if the database went away before it said that it had stored it."""
    measured = {name: event.get(name) for name in ("epoch", "loss", "accuracy", "learning_rate")}
    Metric.objects.update_or_create(
        trained_model=model,
        split=event["split"],
        iteration=event["iteration"],
        defaults={**measured, "outputs": event.get("outputs") or {}},
    )


def _store_snapshot(model: TrainedModel, event: dict) -> None:
    """The same, and what the training lost before is made good."""
    described = {name: event[name] for name in ("iteration", "max_difference")}
    Snapshot.objects.update_or_create(
        trained_model=model, epoch=event["epoch"], defaults={**described, "folder": event["directory"]}
    )
    TrainedModel.objects.filter(pk=model.pk, losses__gt=0).update(losses=0)


STORE = {"metrics": _store_metric, "snapshot": _store_snapshot}
