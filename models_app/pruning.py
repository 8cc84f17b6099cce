"""Which snapshots of a model may go, by a rule."""

from dataclasses import dataclass

from models_app.models import TrainedModel
from models_app.results import Snapshot


@dataclass(frozen=True)
class Rule:
    """What stays: the `best` by validation, the `newest`, and every `every`-th in the order of the epochs (0: none)."""

    best: int = 1
    newest: int = 1
    every: int = 0


def spared(model: TrainedModel, rule: Rule) -> dict[int, str]:
    """{snapshot: why it stays}. One that is marked as to be kept does, and what a training would go on from."""
    ordered = list(model.snapshots.order_by("epoch"))
    reasons: dict[int, str] = {}
    for number, snapshot in enumerate(ordered, 1):
        if rule.every and number % rule.every == 0:
            reasons[snapshot.pk] = f"every {rule.every}"
    newest = rule.newest if model.has_ended else max(rule.newest, 1)
    reasons |= {snapshot.pk: "newest" for snapshot in ordered[len(ordered) - min(newest, len(ordered)) :]}
    reasons |= {snapshot.pk: "best" for snapshot in model.ranked_snapshots()[: rule.best]}
    return reasons | {snapshot.pk: "kept" for snapshot in ordered if snapshot.keep}


def prunable(model: TrainedModel, rule: Rule) -> list[Snapshot]:
    """The snapshots that may go, in the order of the epochs."""
    return list(model.snapshots.order_by("epoch").exclude(pk__in=spared(model, rule)))
