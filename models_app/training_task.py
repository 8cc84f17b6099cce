"""Trains a model: writes the trainer's configuration, follows its events, and stores what they report."""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from django.conf import settings

from datasets import services as datasets
from datasets.integrity import check_dataset
from datasets.models import Dataset
from digits_project.jobs import quota
from digits_project.jobs.events import event_log
from digits_project.jobs.execution.device_use import UseMeter
from digits_project.jobs.execution.runner import JobProgress, Stopped, patiently
from digits_project.jobs.models import Device
from digits_project.jobs.scheduling import devices
from models_app import pruning, trainer_process
from models_app.estimates.estimate import cpu_seconds, model_costs
from models_app.models import TrainedModel
from models_app.results import Metric, Snapshot
from models_app.search.poor_trials import end_if_poor
from models_app.several_hosts import host_ranks, rank_plan
from models_app.sizes import input_sizes
from models_app.training.config import TrainConfig
from models_app.training.early_stopping import STOP_FILE
from models_app.training.hyperparameters import MEAN_OF_DATASET
from models_app.training.snapshots.snapshot_reader import can_resume

log = logging.getLogger(__name__)


def train_config(model: TrainedModel, held: Sequence[Device], resume_from: Snapshot | None = None) -> TrainConfig:
    """The trainer's configuration for a model and its dataset, on these devices of one host."""
    records = model.dataset.directory
    weights = None if resume_from else model.initial_weights()
    hyperparameters, resize = model.hyperparameters, input_sizes.resize_of(model)
    batch_size = min(hyperparameters.batch_size, model.dataset.entries("train"))  # more would repeat images
    return TrainConfig(
        network=model.network().to_dict(),
        engine=devices.engine_of(model.device_request(), held),
        train_records=str(records / "train.rec"),
        val_records=str(records / "val.rec") if model.dataset.entries("val") else None,
        mean_file=str(datasets.mean_file(model.dataset)),
        labels_file=str(records / "labels.txt") if model.dataset.declared_kind.has_categories else None,
        image_shape=model.dataset.image_shape,
        input_resize=resize.to_dict() if resize else None,
        directory=str(model.directory),
        category_weights=model.category_weights(),
        initial_weights=weights,
        readable_roots=tuple(map(str, (*settings.DIGITS_DATA_ROOTS, settings.DIGITS_JOBS_DIR))),
        devices=tuple(device.label for device in held[:batch_size]),
        resume_from=str(resume_from.directory) if resume_from else None,
        **replace(hyperparameters, batch_size=batch_size).values(),
    )


def train(model: TrainedModel, report: JobProgress) -> None:
    """Train the network of a running job, and keep its rows up to date meanwhile."""
    hosts = devices.hosts_of(model)
    if not rank_plan.is_first_host(model):
        raise Stopped  # dispatched to another host meanwhile
    splits = [split for split in ("train", "val") if model.dataset.entries(split)]
    check_dataset(model.dataset, splits, partial(report, None), mean=model.use_mean in MEAN_OF_DATASET)
    snapshot = go_on_from(model)
    engine = devices.engine_of(model.device_request(), [device for held in hosts for device in held])
    config = replace(train_config(model, hosts[0], snapshot), engine=engine)
    host_ranks.invite(model, rank_plan.on_all_hosts(config, hosts), hosts)
    if costs := model_costs(model):
        seconds = cpu_seconds(model, costs)
        patiently(partial(TrainedModel.objects.filter(pk=model.pk).update, estimated_seconds=seconds))
    try:
        _follow(model, hosts, report)
    finally:  # the first training on a dataset writes decoded pixels beside its records
        patiently(partial(quota.forget, Dataset.objects.filter(pk=model.dataset_id)))


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


def _follow(model: TrainedModel, hosts: Sequence[Sequence[Device]], report: JobProgress) -> None:
    """Run the trainer and store its events."""
    others, config = host_ranks.FurtherHosts(hosts), rank_plan.config_file(model, 0)
    stop = _StopCarrier(model, report)
    with stop, trainer_process.events(config, model.directory / "train.log") as events:
        speeds, meter = _Mean(), UseMeter(hosts[0])
        for event in events:
            others.check(event)
            if event and event["event"] == "progress":
                speeds.add(event["images_per_second"])
                use = {"images_per_second": event["images_per_second"], **meter.measure()}
                report.columns, event = {"device_use": use}, event | {"device_use": use}
            if event and (store := STORE.get(event["event"])):
                patiently(partial(store, model, event | {"mean_speed": speeds.mean}))
            report(event.get("fraction") if event else None, **_details(event))
            stop.carry()


class _StopCarrier:
    """Carries a user's request to end a training early from the row to the trainer, which looks for STOP_FILE. The row
    outlives every process, so a training that lost its process ends early once it has resumed."""

    def __init__(self, model: TrainedModel, report: JobProgress) -> None:
        self._report = report
        self._file = model.directory / STOP_FILE

    def __enter__(self) -> None:
        self._file.unlink(missing_ok=True)  # of an attempt that was killed
        self.carry()

    def carry(self) -> None:
        if self._report.requests["stop_requested_at"] and not self._file.exists():
            self._file.touch()

    def __exit__(self, *exception: object) -> None:
        self._file.unlink(missing_ok=True)


def _details(event: dict | None) -> dict:
    """What the job's progress event says besides the progress."""
    if not event or event["event"] != "progress":
        return {}
    return {name: event[name] for name in ("epoch", "images_per_second", "device_use")}


class _Mean:
    """The mean of the numbers above zero that were added; None without any."""

    def __init__(self) -> None:
        self._total, self._count = 0.0, 0

    def add(self, number: float) -> None:
        if number > 0:
            self._total, self._count = self._total + number, self._count + 1

    @property
    def mean(self) -> float | None:
        return self._total / self._count if self._count else None


def _store_start(model: TrainedModel, event: dict) -> None:
    """The engine and its devices, and which layers started from given weights; a resumed training does not report the
    layers."""
    computed = {"devices_used": event.get("device", ""), "precision_used": event.get("precision", "")}
    started = {"engine_used": event["engine"], **computed}
    if event["taken_over"]:
        warnings = list(dict.fromkeys([*model.warnings, *event["warnings"]]))  # those since its create, and these
        started |= {"taken_over": event["taken_over"], "afresh": event["afresh"], "warnings": warnings}
    TrainedModel.objects.filter(pk=model.pk).update(**started)


def _store_metric(model: TrainedModel, event: dict) -> None:
    """Store a metric exactly once, also if the connection broke before the database confirmed it. Raises Aborted if
    the model's search stops it."""
    measured = {name: event.get(name) for name in ("epoch", "loss", "accuracy", "learning_rate")}
    Metric.objects.update_or_create(
        trained_model=model,
        split=event["split"],
        iteration=event["iteration"],
        defaults={**measured, "outputs": event.get("outputs") or {}},
    )
    at = {name: event[name] for name in ("split", "iteration")}
    event_log.publish("metrics", model, **at, **measured, outputs=event.get("outputs") or {})
    if event["split"] == Metric.Split.VAL:
        _store_speed(model, event)
        end_if_poor(model, event["epoch"])


def _store_snapshot(model: TrainedModel, event: dict) -> None:
    """Store a snapshot exactly once, reset the count of lost processes, and delete older snapshots as keep_snapshots
    says, and what else the training no longer needs."""
    described = {name: event[name] for name in ("iteration", "max_difference")}
    Snapshot.objects.update_or_create(
        trained_model=model, epoch=event["epoch"], defaults={**described, "folder": event["directory"]}
    )
    TrainedModel.objects.filter(pk=model.pk, lost_processes__gt=0).update(lost_processes=0)
    pruning.after_snapshot(model)


def _store_speed(model: TrainedModel, event: dict) -> None:
    if event["mean_speed"] is not None:
        TrainedModel.objects.filter(pk=model.pk).update(images_per_second=event["mean_speed"])


def _store_end(model: TrainedModel, event: dict) -> None:
    _store_speed(model, event)
    pruning.after_training(model)


def _store_stop(model: TrainedModel, event: dict) -> None:
    TrainedModel.objects.filter(pk=model.pk).update(stopped_epoch=event["epoch"])


STORE = {
    "started": _store_start,
    "metrics": _store_metric,
    "snapshot": _store_snapshot,
    "stopped_early": _store_stop,
    "done": _store_end,
}
