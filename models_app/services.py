"""What may be done with models."""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction

from datasets import services as datasets
from datasets.models import Dataset
from datasets.models import Kind as DatasetKind
from datasets.whole import check_dataset
from digits_project.accounts import audit
from digits_project.errors import BadInput
from digits_project.jobs import devices, directory, limits, quota
from digits_project.jobs.models import Device
from digits_project.jobs.runner import Progress, Stopped, patiently
from digits_project.jobs.services import Refused, submit
from digits_project.jobs.visibility import named
from models_app import networks, pruning, recovery, trainer
from models_app.models import Kind, Method, TrainedModel
from models_app.networks import Network, picture, prototxt
from models_app.networks.retrain import for_any_dataset
from models_app.results import Metric, Snapshot
from models_app.training.config import TrainConfig
from models_app.training.schedule import Policy, learning_rate

MOST_COMBINATIONS = 100  # of one form
BATCH_SIZE = 16  # DIGITS's, where neither form nor network names one
USUAL_IMAGES, USUAL_CATEGORIES = (3, 256, 256), 1000  # where there is no dataset to tell
LOSSES = ("EuclideanLoss", "SigmoidCrossEntropyLoss")  # over labels of any shape

log = logging.getLogger(__name__)


def create_models(
    owner: str, dataset: Dataset, name: str, learning_rates: list[float], batch_sizes: list[int | None], **fields
) -> list[TrainedModel]:
    """One model for each combination, named after it; all of them or, with a ValidationError, none.

    A network that does not fit the dataset's images is refused here, before anything is queued. A batch size of None is
    the network's own.
    """
    made: list[TrainedModel] = []
    try:
        with transaction.atomic():
            fields |= _held(dataset, fields.get("previous"), fields.get("previous_epoch"))
            for varied in _combinations(name, learning_rates, batch_sizes):
                model = TrainedModel(owner=owner, **(fields | varied))
                model.network_is_checked = bool(made)
                _refuse_more_snapshots(model)
                if model.batch_size is None:
                    model.batch_size = made[0].batch_size if made else _default_batch_size(model)
                made.append(submit(model))
    except BaseException:
        for model in made:
            directory.remove(model.directory)
        raise
    return made


def _refuse_more_snapshots(model: TrainedModel) -> None:
    """Raise ValidationError for a model that would keep more snapshots than one of its owner may."""
    most = settings.DIGITS_MAX_SNAPSHOTS
    if not most or not limits.applies_to(model.owner) or model.snapshots_to_keep <= most:
        return
    problem = (
        f"{model.train_epochs} epochs would leave {model.snapshots_to_keep:,} snapshots, and a model may keep {most:,} "
        "(DIGITS_MAX_SNAPSHOTS): take fewer with a longer interval"
    )
    instead = f", or set keep_snapshots to at most {most - 1:,}." if most > 1 else "; 0 takes one, at the end."
    raise ValidationError({"snapshot_interval": problem + instead})


def complaints(**fields) -> dict[str, list[str]]:
    """{column: messages} of what is wrong with a model of these columns together, `dataset` among them.

    A column that is not there counts as its default. Nothing is saved.
    """
    model = TrainedModel(**fields)
    try:
        if model.previous:
            model.previous_network = model.previous.network().to_dict()
            model.previous_categories = model.previous.categories
        model.clean()
    except BadInput as wrong:
        return {"previous": [str(wrong)]}
    except ValidationError as wrong:
        return wrong.message_dict
    return {}


def syntax_complaint(text: str) -> str:
    """What is wrong with a prototxt whatever dataset it is for; "" if nothing."""
    try:
        prototxt.batch_size(text)
    except BadInput as wrong:
        return str(wrong)
    return ""


def _combinations(name: str, learning_rates: list[float], batch_sizes: list[int | None]) -> Iterator[dict]:
    for batch_size in batch_sizes:
        for base in learning_rates:
            rate = f" learning_rate:{base}" if len(learning_rates) > 1 else ""
            size = f" batch_size:{batch_size}" if len(batch_sizes) > 1 else ""
            yield {"name": name + rate + size, "learning_rate": base, "batch_size": batch_size}


def _held(dataset: Dataset, previous: TrainedModel | None, epoch: float | None) -> dict:
    """The rows that new models are built on, held until those are there, so that nobody deletes them or the snapshot of
    that epoch in between, and what is kept of the model before them."""
    found = {"dataset": Dataset.objects.select_for_update(no_key=True).filter(pk=dataset.pk).first()}
    if found["dataset"] is None:
        raise ValidationError({"dataset": "There is no dataset of that id."})
    if previous is None:
        return found
    locked = TrainedModel.objects.select_for_update(no_key=True).filter(pk=previous.pk).first()
    if locked is None:
        raise ValidationError({"previous": "There is no model of that id."})
    if epoch is not None and locked.snapshot_at(epoch) is None:
        raise ValidationError({"previous": f"Its snapshot of epoch {epoch:g} is gone."})
    try:
        network = locked.network().to_dict()
    except BadInput as wrong:
        raise ValidationError({"previous": str(wrong)}) from wrong
    return found | {"previous": locked, "previous_network": network, "previous_categories": locked.categories}


def _default_batch_size(model: TrainedModel) -> int:
    """What the network names. Raises ValidationError."""
    if model.previous:
        return model.previous.batch_size
    if model.method == Method.STANDARD and model.standard_network in networks.STANDARD:
        return networks.default_batch_size(model.standard_network)
    if not model.custom_network:
        return BATCH_SIZE
    try:
        return prototxt.batch_size(model.custom_network) or BATCH_SIZE
    except BadInput as wrong:
        raise ValidationError({"custom_network": str(wrong)}) from wrong


def prototxt_of(model: TrainedModel) -> str:
    """Its network as a text that another can start from; one's own as it was written. Raises BadInput."""
    if model.method == Method.CUSTOM:
        return model.custom_network
    network = model.network()
    return prototxt.write(for_any_dataset(network, model.categories) if model.kind == Kind.CLASSIFICATION else network)


def standard_prototxt(name: str) -> str:
    """A standard network as prototxt, for images of any size that it fits."""
    return prototxt.write(for_any_dataset(networks.standard(name, USUAL_IMAGES, USUAL_CATEGORIES), USUAL_CATEGORIES))


def picture_of(text: str, dataset: Dataset | None) -> str:
    """A prototxt as SVG: for a dataset, or where there is none yet, for images and labels that it may be meant for.

    Raises BadInput.
    """
    if dataset is None or not dataset.shapes_are_known:
        return picture.svg(_supposed(text))
    categories = len(dataset.categories) or 2 if dataset.kind == DatasetKind.CLASSIFICATION else None
    return picture.svg(prototxt.read(text, dataset.image_shape, categories, tuple(dataset.label_shape)))


def _supposed(text: str) -> Network:
    """A classifier if it can be one, else a network for labels of the shape that its loss compares them with."""
    network = prototxt.read(text, USUAL_IMAGES, USUAL_CATEGORIES, checked=False)
    try:
        network.check()
    except BadInput:
        shapes = prototxt.read(text, USUAL_IMAGES, checked=False).shapes()
        compared = [layer.bottoms[0] for layer in network.layers if layer.type in LOSSES if layer.bottoms]
        return prototxt.read(text, USUAL_IMAGES, label_shape=next((shapes.get(top, ()) for top in compared), ()))
    return network


def learning_rates(base: float, lr_policy: str, lr_parameters: dict) -> list[float]:
    """The rate at every percent of a training, from 0 to 100. Raises BadInput."""
    policy = Policy(learning_rate=base, lr_policy=lr_policy, **lr_parameters)
    return [learning_rate(policy, percent) for percent in range(101)]


def train_config(model: TrainedModel, held: Sequence[Device], resume_from: Snapshot | None = None) -> TrainConfig:
    """What the trainer needs of a model and its dataset, as a plain value."""
    records = model.dataset.directory
    weights = None if resume_from else model.initial_weights()
    batch_size = min(model.batch_size, model.dataset.entries("train"))  # more would only repeat images
    return TrainConfig(
        network=model.network().to_dict(),
        framework=model.framework,
        train_records=str(records / "train.rec"),
        val_records=str(records / "val.rec") if model.dataset.entries("val") else None,
        mean_file=str(datasets.mean_file(model.dataset)),
        use_mean=model.use_mean,
        labels_file=str(records / "labels.txt") if model.dataset.kind == DatasetKind.CLASSIFICATION else None,
        image_shape=model.dataset.image_shape,
        directory=str(model.directory),
        epochs=model.train_epochs,
        batch_size=batch_size,
        batch_accumulation=model.batch_accumulation,
        snapshot_interval=model.snapshot_interval,
        val_interval=model.val_interval,
        early_stop_patience=model.early_stop_patience,
        category_weights=model.category_weights(),
        solver_type=model.solver_type,
        rms_decay=model.rms_decay,
        initial_weights=str(weights) if weights else None,
        readable_roots=[str(root) for root in (*settings.DIGITS_DATA_ROOTS, settings.DIGITS_JOBS_DIR)],
        random_seed=model.random_seed,
        devices=[device.label for device in held[:batch_size]],
        resume_from=str(resume_from.directory) if resume_from else None,
        **asdict(model.policy()),
    )


def train(model: TrainedModel, report: Progress) -> None:
    """Train a running job's network to its end, and keep its rows up to date on the way."""
    held = devices.held_by(model)
    if not held:
        raise Stopped  # dispatched to another host meanwhile
    check_dataset(model.dataset, ("train", "val") if model.dataset.entries("val") else ("train",))
    snapshot = recovery.go_on_from(model)
    config = model.directory / "config.json"
    config.write_text(train_config(model, held, snapshot).to_json())
    try:
        _follow(model, config, report)
    finally:  # the first training on a dataset leaves decoded pixels beside its records
        patiently(partial(quota.forget, Dataset.objects.filter(pk=model.dataset_id)))


def _follow(model: TrainedModel, config: Path, report: Progress) -> None:
    """Run the trainer and store what it reports."""
    with trainer.events(config, model.directory / "train.log") as events:
        for event in events:
            store = STORE.get(event["event"]) if event else None
            if store:
                patiently(partial(store, model, event))
            report(event.get("fraction") if event else None)


def _store_start(model: TrainedModel, event: dict) -> None:
    """Which layers started from given weights; a training that goes on from a snapshot of its own does not say."""
    if event["taken_over"]:
        told = {name: event[name] for name in ("taken_over", "afresh", "warnings")}
        TrainedModel.objects.filter(pk=model.pk).update(**told)


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
    """The same; what the training lost before is made good, and older snapshots go as keep_snapshots says."""
    described = {name: event[name] for name in ("iteration", "max_difference")}
    Snapshot.objects.update_or_create(
        trained_model=model, epoch=event["epoch"], defaults={**described, "folder": event["directory"]}
    )
    TrainedModel.objects.filter(pk=model.pk, losses__gt=0).update(losses=0)
    if model.keep_snapshots:
        pruning.prune(model, pruning.Rule(newest=model.keep_snapshots))


def _store_stop(model: TrainedModel, event: dict) -> None:
    TrainedModel.objects.filter(pk=model.pk).update(stopped_epoch=event["epoch"])


def keep_snapshot(snapshot: Snapshot, keep: bool) -> None:
    """Let nobody delete a snapshot, or let it be deleted again."""
    Snapshot.objects.filter(pk=snapshot.pk).update(keep=keep)
    audit.record("keep" if keep else "don't keep", str(snapshot))


def delete_snapshot(snapshot: Snapshot) -> None:
    """Remove a snapshot, its row and its folder. Raises Refused for one that is kept or that a model starts from."""
    with transaction.atomic():
        TrainedModel.objects.select_for_update().get(pk=snapshot.trained_model_id)
        snapshot.refresh_from_db()
        if snapshot.keep:
            raise Refused(f"The snapshot of epoch {snapshot.epoch:g} is to be kept; take that back first.")
        if user := pruning.user_of(snapshot):
            raise Refused(f"{named(user)} is still to read the snapshot of that epoch.")
        Snapshot.objects.filter(pk=snapshot.pk).delete()
        audit.record("delete snapshot", str(snapshot))
    directory.remove(snapshot.directory)
    quota.forget(TrainedModel.objects.filter(pk=snapshot.trained_model_id))


STORE = {"started": _store_start, "metrics": _store_metric, "snapshot": _store_snapshot, "stopped_early": _store_stop}
