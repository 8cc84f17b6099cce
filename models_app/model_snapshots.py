"""The snapshots of a model: how many its training takes and keeps, and which one a name means."""

from __future__ import annotations

import math
from typing import Any

from django.db import models
from django.db.models import QuerySet

from models_app.results import BEST, NEWEST, Snapshot, Which, chosen, is_due, is_epoch

USUAL_SNAPSHOTS = 10


class HasSnapshots(models.Model):
    """A model whose training writes snapshots, with the columns that say which of them are taken and kept."""

    name: str
    status: str
    train_epochs: float
    snapshot_interval: float
    keep_snapshots: int | None
    snapshots: Any  # the manager of its rows

    class Meta:
        abstract = True

    @property
    def planned_snapshots(self) -> int:
        """The number of snapshots that the training takes: one an interval, and one at the end."""
        return math.ceil(self.train_epochs / self.snapshot_interval) if self.snapshot_interval else 1

    @property
    def kept_every(self) -> int:
        """If `keep_snapshots` is empty: every n-th snapshot is kept, so that about USUAL_SNAPSHOTS are."""
        return max(1, round(self.planned_snapshots / USUAL_SNAPSHOTS))

    @property
    def snapshots_to_keep(self) -> int:
        """The number of snapshots left after training, at most: with `keep_snapshots` so many and the best."""
        planned = self.planned_snapshots
        if self.keep_snapshots is None:
            return min(planned, planned // self.kept_every + 2)
        return min(planned, self.keep_snapshots + 1) if self.keep_snapshots else planned

    def ranked_snapshots(self) -> QuerySet:
        """The snapshots with their validation `accuracy` and `loss`, best first."""
        return chosen(self.snapshots.all(), BEST)

    @property
    def epochs(self) -> str:
        """The epochs of the snapshots, for a message: 1, 1.5, 2."""
        return ", ".join(f"{epoch:g}" for epoch in self.snapshots.order_by("epoch").values_list("epoch", flat=True))

    def no_snapshot_at(self, which: Which) -> str:
        """A message: there is no such snapshot, perhaps because it was deleted; and which there are."""
        newest, there = self.newest_snapshot, self.epochs
        if newest is None or not is_epoch(which):
            return f"{self.name} is {self.status} and has no snapshot yet."
        if 0 < which < newest.epoch and is_due(which, self.snapshot_interval):
            was = f"The snapshot of {self.name} at epoch {which:g} was deleted (keep_snapshots says which are kept)"
            return f"{was}; its epochs are: {there}."
        return f"{self.name} has no snapshot of epoch {which:g}; its epochs are: {there}."

    @property
    def best_snapshot(self) -> Snapshot | None:
        return self.snapshot_at(BEST)

    @property
    def newest_snapshot(self) -> Snapshot | None:
        return self.snapshot_at(NEWEST)

    def snapshot_at(self, which: Which = None) -> Snapshot | None:
        """The snapshot of an epoch, NEWEST, BEST, or the one that answers if none is named; None if there is none."""
        return chosen(self.snapshots.all(), which).first()
