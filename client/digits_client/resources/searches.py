"""Searches for the best hyperparameters."""

from __future__ import annotations

from typing import Any

from digits_client.resources.datasets import Dataset
from digits_client.resources.jobs import Fact, Job, Resource
from digits_client.resources.models import Model
from digits_client.results import Trial, optional, record, sequence, table


class Search(Job):
    """A search. `leaderboard` has its trials, the best first."""

    RESOURCE = "searches"

    dataset_id = Fact(str)
    search_trials = Fact(optional(int))
    search_minutes = Fact(optional(float))
    search_pruner = Fact(str)
    folds = Fact(int)
    fold_figures = Fact(optional(table))
    space = Fact(table)
    leaderboard = Fact(sequence(record(Trial)))

    def best(self) -> Model | None:
        """The best model so far; None before the first validation."""
        ranked = [trial for trial in self.refresh().leaderboard if trial.loss is not None]
        return Model(self._connection, {"id": ranked[0].model_id}).refresh() if ranked else None


class Searches(Resource[Search]):
    """The searches of the server."""

    KIND = Search

    def start(
        self,
        dataset: Dataset | str,
        name: str | None = None,
        *,
        trials: int | None = None,
        minutes: float | None = None,
        **fields: Any,
    ) -> Search:
        """Search for the best values of fields of the training form that have a range, such as
        learning_rate="0.001..0.1 log" or batch_size="8..64". It ends after `trials` trainings (20 unless said
        otherwise), or starts none after `minutes`."""
        limits = {"search_trials": trials, "search_minutes": minutes}
        if trials is None and minutes is None:
            limits["search_trials"] = 20
        return self._started(dataset, name, "search", **limits, **fields)

    def k_fold(self, dataset: Dataset | str, name: str | None = None, *, folds: int = 5, **fields: Any) -> Search:
        """Train the same settings on each of `folds` folds of a dataset; `fold_figures` has mean and spread."""
        return self._started(dataset, name, "k-fold", folds=folds, **fields)

    def _started(self, dataset: Dataset | str, name: str | None, what: str, **fields: Any) -> Search:
        form = {"model_name": name or f"{what} on {dataset.name if isinstance(dataset, Dataset) else dataset}"}
        return self._created("/models/images/classification.json", {**form, "dataset": dataset, **fields})
