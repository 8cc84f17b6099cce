"""Loss and accuracy, from scores and labels alone: the same for every engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models_app.networks import Network
from models_app.networks.layers import ends


@dataclass(frozen=True)
class Measure:
    """What a SoftmaxWithLoss or Accuracy layer says of the scores in `source`, a top of the network."""

    name: str
    source: str

    def of(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """One number an image. `scores`: float64 n×categories, `labels`: int n."""
        raise NotImplementedError


@dataclass(frozen=True)
class Loss(Measure):
    """Cross-entropy of the softmax."""

    weight: float

    def of(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        # Scores that have run away to infinity give a loss that is not a number, as they should.
        with np.errstate(invalid="ignore"):
            shifted = scores - scores.max(axis=1, keepdims=True)
            return self.weight * (np.log(np.exp(shifted).sum(axis=1)) - _chosen(shifted, labels))


@dataclass(frozen=True)
class TopK(Measure):
    """1 where the label's score is among the top_k highest, else 0; of equal scores the first counts as higher."""

    top_k: int

    def of(self, scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
        chosen = _chosen(scores, labels)[:, np.newaxis]
        before = np.arange(scores.shape[1]) < labels[:, np.newaxis]
        higher = (scores > chosen) | ((scores == chosen) & before)
        return (higher.sum(axis=1) < self.top_k).astype(float)


def measures_of(network: Network, phase: str) -> list[Measure]:
    """What a phase reports: the losses, all as "loss", so that they add up; "accuracy"; further Accuracy layers by top.

    Where no layer says it, "accuracy" is that of the last loss's scores.
    """
    verdicts = [node for node in network.nodes(phase) if isinstance(node.kind, ends.Verdict)]
    losses = [node for node in verdicts if isinstance(node.kind, ends.SoftmaxWithLoss)]
    found: dict[str, Measure] = {}
    for node in verdicts:
        if isinstance(node.kind, ends.Accuracy):
            name = "accuracy" if node.kind.top_k == 1 else (*node.layer.tops, node.layer.name)[0]
            found.setdefault(name, TopK(name, node.layer.bottoms[0], node.kind.top_k))
    if losses:
        found.setdefault("accuracy", TopK("accuracy", losses[-1].layer.bottoms[0], 1))
    return [Loss("loss", node.layer.bottoms[0], node.kind.loss_weight) for node in losses] + list(found.values())


class Tally:
    """Averages of measures over many batches; images with a label below 0 don't count."""

    def __init__(self, measures: list[Measure]) -> None:
        self._measures = measures
        self._begin()

    def _begin(self) -> None:
        self._sums = dict.fromkeys((measure.name for measure in self._measures), 0.0)
        self._count = 0

    def add(self, scores: Mapping[str, np.ndarray], labels: np.ndarray) -> None:
        """`scores` by source, n×categories; `labels`, n."""
        counted = labels >= 0
        chosen = labels[counted].astype(int)
        self._count += len(chosen)
        for measure in self._measures:
            values = measure.of(scores[measure.source][counted].astype(np.float64), chosen)
            self._sums[measure.name] += float(values.sum())

    def averages(self) -> dict[str, float]:
        """By name, of what was added since the last call."""
        averages = {name: total / self._count for name, total in self._sums.items()}
        self._begin()
        return averages


def _chosen(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return scores[np.arange(len(labels)), labels]
