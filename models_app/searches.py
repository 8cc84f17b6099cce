"""The actions of searches: create one, and advance it by the trials that can start now."""

from collections.abc import Collection, Iterator
from contextlib import suppress
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction

from datasets import revisions
from datasets.models import Dataset
from digits_project.accounts import audit
from digits_project.common.errors import Aborted, BadInput, IllegalTransition, LimitReached, Refused
from digits_project.jobs import limits, services
from digits_project.jobs.execution.runner import JobProgress, Unfinished, run
from digits_project.jobs.models import ENDED, Job, Status
from models_app import pruning
from models_app.models import TrainedModel
from models_app.pretrained.pretrained_model import PretrainedModel
from models_app.search.ranges import Dimension
from models_app.search.search_job import ONE_AT_A_TIME, Search
from models_app.search.trials import leaderboard, optimizer, trials_of
from models_app.services import check_models, create_models
from models_app.training.hyperparameter_declaration import hyperparameters_of
from models_app.training.learning_rate import LearningRatePolicy

MAX_FAILED = 3  # trials that fail before any is Done, after which the search ends
MAX_NAME = 240
NO_TIME = "It has no trials: its search_minutes ({:g}) were over before one could start. Create it anew with more."
ROWS: dict[str, type[Job]] = {"dataset": Dataset, "previous": TrainedModel, "pretrained": PretrainedModel}
LISTS = {"learning_rate": "learning_rates", "batch_size": "batch_sizes"}  # arguments of create_models
OF_POLICY = {d.name for d in hyperparameters_of(LearningRatePolicy) if d.only_with}
BEST_ONLY = 1  # value of keep_snapshots: while it trains the newest too


def create_jobs(owner: str, *, search: dict[str, Any] | None = None, **fields) -> list[Job]:
    """Create the models, or the search, that a valid form describes. Raises ValidationError or LimitReached."""
    return [create_search(owner, **search, **fields)] if search else list(create_models(owner, **fields))


def planned_models(owner: str, *, search: dict[str, Any] | None = None, **fields) -> list[TrainedModel]:
    """The models that create_jobs would create, not saved; of a search one trial. Raises ValidationError. Call it in a
    transaction."""
    if search:
        fields = _with_values(fields, {name: dimension.ends[0] for name, dimension in search["space"].items()})
    return check_models(owner, **fields)


def create_search(
    owner: str,
    *,
    space: dict[str, Dimension],
    trials: int | None,
    minutes: float | None,
    pruner: str,
    folds: int = 0,
    **fields,
) -> Search:
    """Create a search. `fields` are the arguments of create_models, except those that it chooses (`space`). With
    `folds` it chooses nothing, and trains on as many folds of the dataset.

    Raises ValidationError: that of a model with the lowest or the highest values, or because there is no validation.
    """
    if folds:
        _refuse_without_folds(fields["dataset"], folds, fields.get("val_interval"))
    else:
        _refuse_without_validation(fields["dataset"], fields.get("val_interval"))
    search = Search(
        owner=owner,
        name=fields["name"],
        group_name=fields.get("group_name", ""),
        dataset=fields["dataset"],
        fields={name: value.pk if isinstance(value, Job) else value for name, value in fields.items()},
        space={name: dimension.to_dict() for name, dimension in space.items()},
        search_trials=trials,
        search_minutes=minutes,
        search_pruner=pruner,
        folds=folds,
        seed=fields.get("random_seed") or 0,
        devices=ONE_AT_A_TIME if fields.get("select_gpus") else fields.get("select_gpu_count", 1),
    )
    with transaction.atomic():
        for highest in _corners(space):
            values = {name: dimension.ends[name in highest] for name, dimension in space.items()}
            check_models(owner, **_with_values(fields, values))
        return services.submit(search)


def _corners(space: dict[str, Dimension]) -> Iterator[Collection[str]]:
    """The hyperparameters that have their highest value, all others having their lowest, in each trial that is checked
    when a search is created."""
    yield ()
    yield space.keys()
    if "head_epochs" in space and "train_epochs" in space:
        yield ("head_epochs",)  # they must be fewer than train_epochs


def _refuse_without_validation(dataset: Dataset, val_interval: float | None) -> None:
    if val_interval == 0:
        raise ValidationError({"val_interval": "A search compares validations, but val_interval is 0."})
    if dataset.status == Status.DONE and not dataset.entries("val"):
        raise ValidationError({"dataset": "A search compares validations, but it has no images for validation."})


def _refuse_without_folds(dataset: Dataset, folds: int, val_interval: float | None) -> None:
    if val_interval == 0:
        raise ValidationError({"val_interval": "A k-fold compares validations, but val_interval is 0."})
    if not dataset.declared_kind.has_categories:
        raise ValidationError({"folds": "Only datasets of images with categories have folds."})
    images = dataset.entries("train") + dataset.entries("val")
    if dataset.status == Status.DONE and images < folds:
        raise ValidationError({"folds": f"The dataset has only {images} images for training and validation."})


def after_trial(job_id: str) -> None:
    """Advance the search of a trial that has ended. An io worker would do it too, but a long build can occupy it."""
    search = Search.ready().filter(trials=job_id).first()
    if search:
        run(Search, search.pk, advance)


def advance(search: Search, report: JobProgress) -> None:
    """Create or resume the trials that can run now. Raises Unfinished until all trials have ended."""
    search.start_clock()
    with audit.acting(lambda: audit.Actor("the search")):
        for model in search.trials.filter(status=Status.DONE, keep_snapshots=BEST_ONLY):
            pruning.prune(model, pruning.Rule(best=1, newest=0))
        _resume_trials(search, search.resumed_at)
        _create_trials(search, report)
    if search.started_jobs():
        raise Unfinished(search.share_done())
    if search.next_trial == 1:
        raise BadInput(NO_TIME.format(search.search_minutes))
    if not any(standing.best for standing in leaderboard(search)):
        raise BadInput(f"None of its trials has a validated snapshot. {_last_error(search)}".strip())


def _resume_trials(search: Search, since: datetime | None) -> None:
    """Resume the trials that had not finished when the search was resumed."""
    if since is None:
        return
    unfinished = search.trials.filter(status__in=(Status.ABORTED, Status.ERROR), pruned_epoch=None)
    for model in unfinished.filter(ended_at__lt=since).select_related("dataset").order_by("trial"):
        if not search.has_room:
            return
        try:
            with suppress(Refused, IllegalTransition):
                if model.dataset.fold and model.dataset.status in (Status.ABORTED, Status.ERROR):
                    services.resume(model.dataset)
                services.resume(model)
        except LimitReached as limit:
            raise BadInput(str(limit)) from limit


def _create_trials(search: Search, report: JobProgress) -> None:
    """Create as many trials as there is room for. A number is left out if no model can have its values together."""
    refused: list[str] = []
    while search.goes_on and search.has_room:
        _refuse_hopeless(search)
        report()
        try:
            _create_trial(search)
            refused.clear()
        except ValidationError as wrong:
            refused += wrong.messages
            search.next_trial += 1
            Search.objects.filter(pk=search.pk).update(next_trial=search.next_trial)
            if len(refused) >= MAX_FAILED:
                raise BadInput(f"{MAX_FAILED} trials in a row can't be created: {refused[-1]}") from wrong
        except LimitReached as limit:
            raise BadInput(str(limit)) from limit


def _create_trial(search: Search) -> None:
    """Create the next trial, exactly once, unless the search was aborted meanwhile (then this raises Aborted).

    Raises ValidationError or LimitReached.
    """
    limits.refuse_more_disk(search.owner, "resume the search")
    number = search.next_trial
    values = _next_values(search, number)
    with transaction.atomic():
        held = Search.objects.select_for_update().filter(
            pk=search.pk, status=Status.RUNNING, worker=search.worker, abort_requested_at=None, next_trial=number
        )
        if not held.exists():
            raise Aborted
        Search.objects.filter(pk=search.pk).update(next_trial=number + 1)
        name = f"{search.name[:MAX_NAME]} #{number}"
        fields = _with_values(_fields(search), values) | {"name": name, "search": search, "trial": number}
        if search.folds:
            fields["dataset"] = _fold(search, fields["dataset"], number)
        for model in create_models(search.owner, **fields | {"priority": search.priority}):
            model.shared_with.set(search.shared_with.all())
    search.next_trial = number + 1


def _next_values(search: Search, number: int) -> dict[str, float]:
    """The values of the trial with this number; none in a k-fold."""
    if search.folds:
        return {}
    earlier = list(trials_of(search).values())
    return optimizer().next_values(search.dimensions, earlier, search.seed, number)


def _fold(search: Search, dataset: Dataset, number: int) -> Dataset:
    """The dataset of a fold, which an io worker builds. Raises ValidationError."""
    name = f"{dataset.name[:MAX_NAME]}, fold {number} of {search.folds}"
    about = {"name": name, "group_name": search.group_name, "priority": search.priority}
    fold = revisions.make_fold(dataset, search.owner, number, search.folds, **about)
    fold.shared_with.set(search.shared_with.all())
    return fold


def _fields(search: Search) -> dict[str, Any]:
    """The arguments of create_models. Raises BadInput if a row was deleted."""
    fields = dict(search.fields)
    for name, job_class in ROWS.items():
        if pk := fields.get(name):
            fields[name] = job_class.objects.filter(pk=pk).first()
            if fields[name] is None:
                raise BadInput(f"Its {job_class._meta.verbose_name} {pk} was deleted, so no further trial can start.")
    return fields


def _with_values(fields: dict[str, Any], values: dict[str, float]) -> dict[str, Any]:
    """The arguments of create_models with these values of hyperparameters."""
    changed: dict[str, Any] = {LISTS[name]: [value] for name, value in values.items() if name in LISTS}
    changed |= {name: value for name, value in values.items() if name not in LISTS and name not in OF_POLICY}
    policy = {name: value for name, value in values.items() if name in OF_POLICY}
    if fields.get("keep_snapshots") is None:
        changed.setdefault("keep_snapshots", BEST_ONLY)
    return fields | changed | {"lr_parameters": fields["lr_parameters"] | policy}


def _refuse_hopeless(search: Search) -> None:
    """Raise BadInput if the first trials all failed."""
    ended = search.trials.filter(status__in=ENDED)
    failed = ended.filter(status=Status.ERROR).count()
    if failed >= MAX_FAILED and failed == ended.count():
        raise BadInput(f"Its first {failed} trials failed. {_last_error(search)}")


def _last_error(search: Search) -> str:
    last = search.trials.exclude(error="").order_by("trial").last()
    return f"The last one, {last.name}: {last.error}" if last else ""
