"""The trials of a search with their results, read from the rows of models, snapshots and metrics."""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any, NamedTuple

from digits_project.common.errors import Failed
from digits_project.jobs.models import Status
from models_app.results import Metric, Snapshot, validated
from models_app.search.ranges import Trial
from models_app.search.search_job import Search

INSTALL = "Install requirements/worker.txt there, start its workers again, and resume the search."


class Measured(NamedTuple):
    """The validation of a snapshot."""

    epoch: float
    accuracy: float | None  # None if the network has none
    loss: float

    @property
    def value(self) -> float:
        """The figure by which trials are compared; the higher the better."""
        return -self.loss if self.accuracy is None else self.accuracy

    @property
    def rank(self) -> tuple[float, float, float]:
        """For sorting, as results.chosen() orders snapshots: accuracy, then loss, then the later one."""
        return self.value, -self.loss, self.epoch


class Standing(NamedTuple):
    """A trial on the leaderboard; `best` is the validation of its best snapshot, None if it has none."""

    rank: int | None
    model: Any  # TrainedModel
    values: dict[str, float]
    best: Measured | None


def optimizer() -> ModuleType:
    """The module that asks Optuna. Raises Failed on a host without Optuna."""
    try:
        # Optional: only workers install Optuna. It would also take 25 MiB of each idle process.
        from models_app.search import sampling
    except ModuleNotFoundError as missing:
        raise Failed(f"The worker of this host has no {missing.name}. {INSTALL}") from missing
    return sampling


def values_of(model: Any, names: Iterable[str]) -> dict[str, float]:
    """A model's values of these hyperparameters."""
    return {name: model.lr_parameters[name] if name in model.lr_parameters else getattr(model, name) for name in names}


def trials_of(search: Search) -> dict[str, Trial]:
    """{model: trial} of all trials, in the order of their numbers."""
    models, best, curves = _models(search), _best(search), _curves(search)
    return {model.pk: _trial(search, model, best.get(model.pk), curves.get(model.pk, {})) for model in models}


def leaderboard(search: Search) -> list[Standing]:
    """All trials, the best first; those without a validated snapshot come last, by their numbers."""
    models, best = _models(search), _best(search)
    ranked = sorted((model for model in models if model.pk in best), key=lambda m: best[m.pk].rank, reverse=True)
    others = [model for model in models if model.pk not in best]
    numbered = [(rank, model) for rank, model in enumerate(ranked, 1)] + [(None, model) for model in others]
    return [Standing(rank, model, values_of(model, search.space), best.get(model.pk)) for rank, model in numbered]


def _models(search: Search) -> list[Any]:
    return list(search.trials.defer("custom_network", "previous_network").order_by("trial"))


def _trial(search: Search, model: Any, best: Measured | None, curve: dict[int, float]) -> Trial:
    value = best.value if best and model.status == Status.DONE else None
    return Trial(values_of(model, search.space), not model.has_ended, value, curve)


def _best(search: Search) -> dict[str, Measured]:
    """{model: the validation of its best snapshot}"""
    found: dict[str, Measured] = {}
    rows = validated(Snapshot.objects.filter(trained_model__search=search)).exclude(loss=None)
    for pk, epoch, accuracy, loss in rows.values_list("trained_model_id", "epoch", "accuracy", "loss"):
        one = Measured(epoch, accuracy, loss)
        if pk not in found or one.rank > found[pk].rank:
            found[pk] = one
    return found


def _curves(search: Search) -> dict[str, dict[int, float]]:
    """{model: {number of the validation, from 1: its value}}"""
    curves: dict[str, dict[int, float]] = {}
    rows = Metric.objects.filter(trained_model__search=search, split=Metric.Split.VAL).order_by("iteration")
    for pk, epoch, accuracy, loss in rows.values_list("trained_model_id", "epoch", "accuracy", "loss"):
        curve = curves.setdefault(pk, {})
        curve[len(curve) + 1] = Measured(epoch, accuracy, loss).value
    return curves
