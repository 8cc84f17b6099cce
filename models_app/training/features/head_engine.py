"""The engine of a training on features: it trains the head, and is the whole network for everything else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from models_app.training.engines import Engine
from models_app.training.measures import Scores


class HeadEngine:
    """An Engine whose batches are features, and whose images, weights and exports are those of the whole network.

    head: an engine for the head alone. open_whole: opens one for the whole network, once the first images come.
    fixed: the weights of the layers below the head.
    """

    def __init__(self, head: Engine, open_whole: Callable[[], Engine], fixed: Mapping[str, np.ndarray]) -> None:
        self.name, self.device, self.threads, self.precision = head.name, head.device, head.threads, head.precision
        self._head = head
        self._open_whole = open_whole
        self._fixed = dict(fixed)

    @cached_property
    def _whole(self) -> Engine:
        return self._open_whole()

    def train_batch(self, images: np.ndarray, labels: np.ndarray, learning_rate: float | None) -> None:
        self._head.train_batch(images, labels, learning_rate)

    def training_scores(self) -> Scores:
        return self._head.training_scores()

    def evaluate_batch(self, images: np.ndarray, labels: np.ndarray) -> None:
        self._head.evaluate_batch(images, labels)

    def evaluation_scores(self) -> Scores:
        return self._head.evaluation_scores()

    def forward(self, images: np.ndarray) -> dict[str, np.ndarray]:
        self._whole.load_weights(self.weights())
        return self._whole.forward(images)

    def weights(self) -> dict[str, np.ndarray]:
        return {**self._fixed, **self._head.weights()}

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        self._fixed = {name: weights[name] for name in self._fixed}
        self._head.load_weights(weights)

    def optimizer_state(self) -> dict[str, np.ndarray]:
        return self._head.optimizer_state()

    def load_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        self._head.load_optimizer_state(state)

    def export(
        self,
        path: Path,
        weights: Mapping[str, np.ndarray],
        labels: Sequence[str],
        metadata: Mapping[str, str],
        image_shape: tuple[int, int, int],
    ) -> None:
        self._whole.export(path, weights, labels, metadata, image_shape)
