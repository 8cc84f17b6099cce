"""The door to an engine: what the training loop asks of whatever does the arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from models_app.networks import Network
from models_app.training.measures import Scores

# The label of an image that only fills up a batch, and so does not count: no category and no number of a dataset.
NO_LABEL = float("-inf")


@dataclass(frozen=True)
class EngineConfig:
    """What an engine builds. `mean` (C×H×W or C×1×1) is subtracted from every image; `seed` is for dropout. Of several
    devices each takes its share of every batch. `category_weights` weigh the images in training, not in what is told.
    """

    network: Network
    mean: np.ndarray | None
    batch_size: int
    solver_type: str
    momentum: float
    weight_decay: float
    devices: tuple[str, ...]
    threads: int
    seed: int
    rms_decay: float = 0.99
    batch_accumulation: int = 1
    category_weights: tuple[float, ...] | None = None


class Engine(Protocol):
    """A network on a device. Images are uint8 batch×C×H×W, labels float32, always a full batch.

    train_batch and evaluate_batch may return before the work is done; whatever returns numbers waits for it. Scores
    are averages over the images since they were last asked for: "loss", "accuracy" and the network's further measures.
    """

    name: str  # the library and its version
    device: str
    threads: int

    def train_batch(self, images: np.ndarray, labels: np.ndarray, learning_rate: float | None) -> None:
        """Take the batch's gradient, and with a learning rate one step of the solver.

        A step is by the average gradient of the batches since the last one, at most `batch_accumulation` of them.
        """

    def training_scores(self) -> Scores:
        """Of the batches trained."""

    def evaluate_batch(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Measure, as in validation; images labelled NO_LABEL don't count."""

    def evaluation_scores(self) -> Scores:
        """Of the batches evaluated."""

    def forward(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The deployed network's outputs for any number of images up to a batch."""

    def weights(self) -> dict[str, np.ndarray]:
        """All of Network.weights(), float32."""

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """The reverse of weights()."""

    def optimizer_state(self) -> dict[str, np.ndarray]:
        """What the solver remembers between steps."""

    def load_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        """The reverse of optimizer_state(). Raises BadInput if it is another solver's, or another network's."""
