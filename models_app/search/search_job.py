"""The row of a search, and the columns by which models belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.apps import apps
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Count, F, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from datasets import needed
from datasets.models import Dataset
from digits_project.jobs.models import ENDED, RESUMED, Device, Job, Status
from models_app.search.ranges import Dimension

MAX_TRIALS = 1000
MIN_FOLDS, MAX_FOLDS = 2, 20
USUAL_TRIALS = 20
MAX_MINUTES = 60 * 24 * 365
NO_PRUNER, MEDIAN = "none", "median"
PRUNERS = (MEDIAN, NO_PRUNER)
ONE_AT_A_TIME = 32767  # of `devices`


class Search(Job):
    """A search for the hyperparameters with the best validation.

    With folds it is a k-fold: each trial has the same values, and is trained on another fold of the dataset.
    It creates models, its trials, of which each is trained with the values that Optuna chooses by the results of the
    earlier ones. A worker runs it whenever there is something to do (`ready`): it creates the next trials, and goes
    back to Waiting; when all trials have ended it is Done. So no process lives as long as the search.
    """

    QUEUE = "io"
    TASK = "models_app.tasks.advance_search"
    ROUTE = "searches"
    TYPE = "Hyperparameter Search"
    IN_INDEX = False
    FILLS_DISK = False
    MILESTONE = "a new trial"

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="searches")
    # The arguments of services.create_models; rows by their ids.
    fields = models.JSONField(default=dict, editable=False)
    space = models.JSONField(default=dict, editable=False)  # {hyperparameter: Dimension.to_dict()}
    search_trials = models.PositiveIntegerField(
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(MAX_TRIALS)],
        help_text="How many models are trained; empty: as many as search_minutes allow.",
    )
    search_minutes = models.FloatField(
        null=True,
        blank=True,
        validators=[MinValueValidator(0), MaxValueValidator(MAX_MINUTES)],
        help_text="Minutes after which no further model is created; empty: no limit.",
    )
    search_pruner = models.CharField(
        max_length=10,
        choices=[(pruner, pruner) for pruner in PRUNERS],
        default=MEDIAN,
        help_text="median: trainings are stopped that are worse than the median of the others at the same epoch.",
    )
    # How many folds of its dataset it trains on, instead of values that it chooses; 0 for none.
    folds = models.PositiveSmallIntegerField(default=0, editable=False)
    seed = models.PositiveBigIntegerField(default=0, editable=False)
    devices = models.PositiveSmallIntegerField(default=1, editable=False)  # of one trial
    next_trial = models.PositiveIntegerField(default=1, editable=False)  # the number of the next trial
    deadline = models.DateTimeField(null=True, editable=False)

    class Meta(Job.Meta):
        verbose_name = "search"
        verbose_name_plural = "searches"

    @classmethod
    def ready(cls) -> QuerySet:
        """The waiting searches that have something to do: a device is free for a further trial, or all have ended."""
        waiting = super().ready().filter(dataset__status=Status.DONE)
        return _with_room(waiting).filter(Q(open=0) | _going_on())

    @classmethod
    def users_of(cls, argument: str, job: Job) -> list[Job]:
        """The searches that have yet to create trials from this job. argument: its name in create_models."""
        started = cls.objects.exclude(status__in=ENDED).filter(**{f"fields__{argument}": job.pk})
        return list(started.filter(_going_on()).only(*cls.LISTED))

    @classmethod
    def unrunnable(cls) -> list[tuple[Job, str]]:
        return needed.lost(cls.objects.all())

    @property
    def has_room(self) -> bool:
        """Whether a further trial can be created now: a device is free, or no trial is open."""
        return _with_room(Search.objects.filter(pk=self.pk)).exists()

    @property
    def goes_on(self) -> bool:
        """Whether further trials will be created."""
        return Search.objects.filter(_going_on(), pk=self.pk).exists()

    def waits_for(self) -> str:
        if awaited := needed.awaited(self.dataset):
            return awaited
        count = self.trials.exclude(status__in=ENDED).count()
        return f"{count} trial{'s' if count > 1 else ''}" if count and not self.has_room else ""

    def started_jobs(self) -> list[Job]:
        trials = self.trials.exclude(status__in=ENDED).only(*self.LISTED)
        return [*trials, *self.unfinished_folds()]  # aborted in this order: without its dataset a model fails

    def unfinished_folds(self) -> list[Job]:
        """The datasets of its folds that are not built yet."""
        if not self.folds:
            return []
        made = Dataset.objects.filter(trained_models__search=self).exclude(pk=self.dataset_id)
        return list(made.exclude(status__in=ENDED).only(*Dataset.LISTED))

    def milestones(self, after: int = 0) -> Sequence[str]:
        ended = self.trials.filter(status__in=ENDED).count()
        of_all = f" of {self.search_trials}" if self.search_trials else ""
        return [f"{number}{of_all} trials have ended" for number in range(after + 1, ended + 1)]

    @property
    def dimensions(self) -> dict[str, Dimension]:
        """The values of each hyperparameter that it chooses from."""
        return {name: Dimension.from_dict(stored) for name, stored in self.space.items()}

    @property
    def resumed_at(self) -> datetime | None:
        """When it was last resumed; None if it never was."""
        times = [moment for _, moment, *note in self.status_history if note == [RESUMED]]
        return datetime.fromisoformat(times[-1]) if times else None

    def start_clock(self) -> None:
        """Set the deadline when the first trial begins, and again after a resume."""
        is_fresh = self.deadline is None or self.status_history[-2][2:] == [RESUMED]
        if self.search_minutes is not None and is_fresh:
            self.deadline = timezone.now() + timedelta(minutes=self.search_minutes)
            Search.objects.filter(pk=self.pk).update(deadline=self.deadline)

    def share_done(self) -> float:
        """The fraction of its trials that have ended, or of its time that has passed, if that is more."""
        ended = self.trials.filter(status__in=ENDED).count()
        by_trials = ended / self.search_trials if self.search_trials else 0.0
        by_time = 0.0
        if self.deadline and self.search_minutes:
            left = (self.deadline - timezone.now()).total_seconds() / 60
            by_time = 1 - left / self.search_minutes
        return min(max(by_trials, by_time), 1.0)


class TrialColumns(models.Model):
    """The columns of a model that is a trial of a search. Without the search it stays, as any other model."""

    search = models.ForeignKey(
        Search, on_delete=models.SET_NULL, null=True, blank=True, related_name="trials", editable=False
    )
    trial = models.PositiveIntegerField(null=True, editable=False, help_text="Its number in its search.")
    pruned_epoch = models.FloatField(
        null=True, editable=False, help_text="The epoch at which its search stopped it, because others were better."
    )

    class Meta:
        abstract = True


def _going_on() -> Q:
    """The condition that further trials will be created."""
    in_time = Q(deadline=None) | Q(deadline__gt=timezone.now())
    return in_time & (Q(search_trials=None) | Q(next_trial__lte=F("search_trials")))


def _with_room(searches: QuerySet) -> QuerySet:
    """Those that can create a trial now, with the number of their `open` trials: enough devices are on for one more,
    or none is open."""
    enabled = Device.objects.filter(enabled=True).count()
    counted = searches.annotate(open=Coalesce(_open_trials(), 0)).annotate(needed=(F("open") + 1) * F("devices"))
    return counted.filter(Q(open=0) | Q(needed__lte=enabled))


def _open_trials() -> Subquery:
    """The number of a search's trials that have not ended."""
    trials: Any = apps.get_model("models_app", "TrainedModel")
    rows = trials.objects.filter(search=OuterRef("pk")).exclude(status__in=ENDED)
    return Subquery(rows.order_by().values("search").annotate(count=Count("pk")).values("count"))
