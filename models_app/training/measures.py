"""Computes loss and accuracy from a network's outputs and labels, the same way for every engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from digits_project.common.errors import BadInput
from models_app.networks import Network, Node
from models_app.networks.layers import data_and_losses
from models_app.networks.resolve import Value
from models_app.training.ranks.rank import ALONE, Ranks

Total = tuple[float, float | None]


@dataclass(frozen=True)
class Scores:
    """Means over some images: the weighted sum of the losses, and the accuracy (None without one).

    `outputs` maps the name of a top to its mean if there are several losses or several accuracies.
    """

    loss: float
    accuracy: float | None = None
    outputs: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure:
    """A loss or accuracy layer. `reads`: the two values that it compares; None stands for the dataset's labels."""

    name: str
    reads: tuple[Value | None, Value | None]
    kind: Any  # an instance of a Criterion

    def of(self, first: np.ndarray, second: np.ndarray) -> Total:
        """Sum over the images, and the divisor that turns it into a mean; None if the loss is not normalised."""
        return RULES[type(self.kind)](self, first, second)


def softmax_with_loss(measure: Measure, scores: np.ndarray, labels: np.ndarray) -> Total:
    """Cross-entropy of the softmax."""
    scores, chosen = _by_label(measure, scores, labels)
    # Infinite scores give a loss that is NaN, which ends the training as diverged.
    with np.errstate(invalid="ignore"):
        shifted = scores - scores.max(axis=1, keepdims=True)
        total = (np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(chosen)), chosen]).sum()
    return float(total), _divisor(measure, len(chosen), labels)


def soft_cross_entropy(measure: Measure, scores: np.ndarray, shares: np.ndarray) -> Total:
    """Cross-entropy of the softmax with labels that are shares of categories, n×scores."""
    scores = scores.reshape(shares.shape).astype(np.float64)
    with np.errstate(invalid="ignore"):  # as in softmax_with_loss
        shifted = scores - scores.max(axis=1, keepdims=True)
        logarithms = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        total = -(shares * logarithms).sum()
    return float(total), None if measure.kind.normalization == "NONE" else len(shares)


def sigmoid_cross_entropy(measure: Measure, scores: np.ndarray, targets: np.ndarray) -> Total:
    """Cross-entropy of the sigmoid: log(1 + eˣ) - x·t."""
    counted = targets.ravel() != measure.kind.ignore_label
    rows, chosen = scores.ravel()[counted].astype(np.float64), targets.ravel()[counted]
    with np.errstate(invalid="ignore"):
        total = (np.logaddexp(0, rows) - rows * chosen).sum()
    return float(total), _divisor(measure, len(chosen), targets)


def euclidean(measure: Measure, first: np.ndarray, second: np.ndarray) -> Total:
    """Half the sum of squared differences."""
    difference = first.reshape(len(first), -1).astype(np.float64) - second.reshape(len(first), -1)
    return float(np.vdot(difference, difference)) / 2, len(first)


def accuracy(measure: Measure, scores: np.ndarray, labels: np.ndarray) -> Total:
    """The number of labels whose score is among the top_k highest; of equal scores the first counts as higher."""
    scores, chosen = _by_label(measure, scores, labels)
    own = scores[np.arange(len(chosen)), chosen][:, np.newaxis]
    before = np.arange(scores.shape[1]) < chosen[:, np.newaxis]
    higher = (scores > own) | ((scores == own) & before)
    return float((higher.sum(axis=1) < measure.kind.top_k).sum()), len(chosen)


RULES = {
    data_and_losses.Accuracy: accuracy,
    data_and_losses.EuclideanLoss: euclidean,
    data_and_losses.SigmoidCrossEntropyLoss: sigmoid_cross_entropy,
    data_and_losses.SoftmaxWithLoss: softmax_with_loss,
}


def _by_label(measure: Measure, scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each label that is not ignored: its row of scores (float64), and its category number."""
    categories = scores.shape[1]
    rows: np.ndarray = scores.astype(np.float64)
    if labels.size != len(scores):
        rows = np.moveaxis(rows.reshape(len(scores), categories, -1), 1, 2)
    rows, chosen = rows.reshape(-1, categories), labels.ravel().astype(int)
    if measure.kind.ignore_label is not None:
        counted = chosen != measure.kind.ignore_label
        rows, chosen = rows[counted], chosen[counted]
    if len(chosen) and not 0 <= chosen.min() <= chosen.max() < categories:
        wrong = chosen.min() if chosen.min() < 0 else chosen.max()
        hint = "ignore_label excludes a label from the loss and the accuracy"
        raise BadInput(f"{measure.name}: the label {wrong} is none of its {categories} categories, 0 to "
                       f"{categories - 1}; {hint}")  # fmt: skip
    return rows, chosen


def _divisor(measure: Measure, counted: int, labels: np.ndarray) -> float | None:
    """The divisor of Caffe's `normalization`; None if there is none."""
    return {"VALID": counted, "FULL": labels.size, "BATCH_SIZE": len(labels), "NONE": None}[measure.kind.normalization]


class Tally:
    """Means of a phase's measures over many batches. Images with the label NO_LABEL do not count.

    soft_labels: the dataset's labels are shares of categories, n×scores. Losses compare with all of them, accuracies
    with the largest. ranks: the means are those of all ranks together.
    """

    def __init__(self, network: Network, phase: str, soft_labels: bool = False, ranks: Ranks = ALONE) -> None:
        verdicts = [node for node in network.nodes(phase) if isinstance(node.kind, data_and_losses.Criterion)]
        self._losses = [_measure(node) for node in verdicts if isinstance(node.kind, data_and_losses.Loss)]
        self._accuracies = [_measure(node) for node in verdicts if isinstance(node.kind, data_and_losses.Accuracy)]
        self._accuracy = _main_accuracy(self._losses, self._accuracies)
        self._measures = [*self._losses, *self._accuracies]
        if self._accuracy and self._accuracy not in self._measures:
            self._measures.append(self._accuracy)
        self._soft_labels = soft_labels
        self._ranks = ranks
        self._begin()

    def _begin(self) -> None:
        self._sums = np.zeros((len(self._measures), 2))

    def add(self, values: Mapping[Value, np.ndarray], labels: np.ndarray, batches: int = 1) -> None:
        """Add the outputs that the measures read (n×…), and the dataset's labels, of `batches` consecutive batches.

        A loss without a divisor is averaged over the batches.
        """
        counted = np.isfinite(labels.reshape(len(labels), -1)).all(axis=1)
        of_all = counted.all()
        for sums, measure in zip(self._sums, self._measures, strict=True):
            compared = (labels if value is None else values[value] for value in measure.reads)
            total, divisor = self._total(measure, *(array if of_all else array[counted] for array in compared))
            sums += total, batches / self._ranks.count if divisor is None else divisor

    def _total(self, measure: Measure, first: np.ndarray, second: np.ndarray) -> Total:
        if not self._soft_labels or measure.reads[1] is not None:
            return measure.of(first, second)
        if isinstance(measure.kind, data_and_losses.Accuracy):
            return measure.of(first, second.argmax(axis=1).astype(np.float32))
        return soft_cross_entropy(measure, first, second)

    def averages(self) -> Scores:
        """The means of everything added since the last call."""
        sums = self._ranks.total(self._sums)
        found = {m: float(total / max(count, 1)) for m, (total, count) in zip(self._measures, sums, strict=True)}
        self._begin()
        loss = sum(measure.kind.loss_weight * found[measure] for measure in self._losses)
        return Scores(loss, found[self._accuracy] if self._accuracy else None, self._outputs(found))

    def _outputs(self, found: Mapping[Measure, float]) -> dict[str, float]:
        losses = self._losses if len(self._losses) > 1 else []
        accuracies = self._accuracies if self._accuracies != [self._accuracy] else []
        return {measure.name: found[measure] for measure in [*losses, *accuracies]}


def _measure(node: Node) -> Measure:
    first, second = node.reads
    return Measure((*node.layer.tops, node.layer.name)[0], (first, second), node.kind)


def _main_accuracy(losses: list[Measure], accuracies: list[Measure]) -> Measure | None:
    """The measure of the last Accuracy layer with top_k 1; without one, the accuracy at the last loss over
    categories."""
    top_1 = [measure for measure in accuracies if measure.kind.top_k == 1]
    if top_1:
        return top_1[-1]
    by_category = [measure for measure in losses if isinstance(measure.kind, data_and_losses.SoftmaxWithLoss)]
    if not by_category:
        return None
    last = by_category[-1]
    return Measure("accuracy", last.reads, data_and_losses.Accuracy(ignore_label=last.kind.ignore_label))
