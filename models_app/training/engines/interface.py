"""The interface of an engine: the library that does the computations of a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from models_app.networks import Network
from models_app.training.hyperparameters import Hyperparameters
from models_app.training.measures import Scores
from models_app.training.ranks.rank import ALONE, Ranks

# The label of an image that only fills up a batch and does not count: no category, and no value of a dataset.
NO_LABEL = float("-inf")


@dataclass(frozen=True, kw_only=True)
class EngineConfig(Hyperparameters):
    """The configuration of an engine: a network, and the hyperparameters of its training.

    network: its layers, losses included. The engine builds the losses and their gradients itself.
    mean: subtracted from every image, float32, C×H×W or C×1×1 of the network's input; None: nothing.
    scale: the factor of the difference, float32, C×1×1; None: 1.
    devices: "cpu", or "gpu0", "gpu1" …; each of several computes its share of every batch.
    threads: the number of CPU threads.
    seed: for random numbers that the engine draws itself, as for dropout.
    category_weights: a factor for each category, by which the training's losses of its images are multiplied; the
        reported losses stay unweighted. None: no weights.
    input_type: the type of the images: uint8, or float32 for a network that computes with features instead of pixels.
    ranks: the rank of this process. With several, `batch_size` is that of all together; the engine gets only its own
        rows of each batch (ranks.rows), and takes a step by the gradient of all.
    """

    network: Network
    mean: np.ndarray | None
    devices: tuple[str, ...]
    threads: int
    seed: int
    scale: np.ndarray | None = None
    category_weights: tuple[float, ...] | None = None
    input_type: str = "uint8"
    ranks: Ranks = ALONE

    @property
    def own_size(self) -> int:
        """How many images of a batch this rank computes."""
        rows = self.ranks.rows(self.batch_size)
        return rows.stop - rows.start

    @property
    def own_share(self) -> float:
        """The part of a batch that this rank computes."""
        return self.own_size / self.batch_size


class Engine(Protocol):
    """A network on a device, with its losses and its solver.

    Images are uint8, batch×C×H×W, 0 to 255, channels in RGB order, or of another input_type if so configured. Labels
    are float32: one number per image for categories, else batch × the shape of a label. With `has_soft_labels`
    train_batch takes batch × scores: the share of each category in an image. Both are a full batch. train_batch and
    evaluate_batch can return before the computation is done, but must have copied their arrays by then. A method that
    returns numbers waits for the computation. Scores are averages over the images since the last call. The same
    configuration, weights, optimizer state and batches give the same weights on the CPU, to the bit.
    """

    name: str  # the library and its version, such as "mxnet 1.9.1"
    device: str  # the devices in use, such as "gpu0, gpu1"
    threads: int
    precision: str  # in which it trains and validates: fp32 or bf16

    def train_batch(self, images: np.ndarray, labels: np.ndarray, learning_rate: float | None) -> None:
        """Compute the batch's gradient and, with a learning rate, take one step of the solver. A step uses the
        average gradient of the batches since the last step, at most `batch_accumulation` of them. Raises BadNetwork
        if the network has no loss, BadInput if it does not fit into the memory."""

    def training_scores(self) -> Scores:
        """The scores of the trained batches since the last call."""

    def evaluate_batch(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Measure the batch, as in validation; images with the label NO_LABEL don't count."""

    def evaluation_scores(self) -> Scores:
        """The scores of the evaluated batches since the last call."""

    def forward(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """The deployed network's outputs by name, float32, n×…, for n images, at most a batch."""

    def weights(self) -> dict[str, np.ndarray]:
        """All of Network.weights() by name, float32. With `ema` these are the averages over the steps, which validation
        and forward() use too."""

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        """Set all weights to these arrays, as weights() returns them."""

    def optimizer_state(self) -> dict[str, np.ndarray]:
        """The arrays that the next steps need besides the weights, under names that every engine shares.

        "steps" and "batches": the numbers of steps taken and of batches trained. "<weight>.<slot>": an array that the
        solver keeps for each weight (such as momentum), float32, in the weight's shape; OPTIMIZER_SLOTS lists the slots
        of each solver. "<layer>.factor.start": two numbers for each BatchNorm, the scale factor of its running averages
        when the weights were loaded, and the number of batches trained since. With `ema`, "<weight>.raw": the weights
        that the training goes on from; "<layer>.factor.average": the average of that factor in double precision.
        """

    def load_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore the arrays of optimizer_state(). Call it after load_weights().

        Raises BadInput if it is another solver's, or another network's.
        """

    def export(
        self,
        path: Path,
        weights: Mapping[str, np.ndarray],
        labels: Sequence[str],
        metadata: Mapping[str, str],
        image_shape: tuple[int, int, int],
    ) -> None:
        """Write the deployed network to `path` as model.onnx, which inference runs, with what weights() returned.

        It can run on another thread while the engine trains.

        Input: float32, N×C×H×W for any N, raw values 0 to 255 in RGB order, images of `image_shape` (C, H, W); the
        model takes the middle crop that the network needs, subtracts the mean and multiplies by the scale. Outputs:
        those of forward(), with their names, within 1e-4. Metadata: `labels`, the categories' names, as a JSON list;
        `layers`, as write_onnx describes them (networks/export/network_onnx.py); and the given `metadata`.
        """


# The state of each solver for a weight, by slot; engines/mxnet/solvers.py has the formulas with these letters.
OPTIMIZER_SLOTS = {
    "SGD": ("momentum",),  # -v
    "NESTEROV": ("momentum",),  # -v
    "ADAGRAD": ("square",),  # h
    "RMSPROP": ("square",),  # h
    "ADADELTA": ("square", "update"),  # h, k
    "ADAM": ("mean", "square"),  # m, v
    "ADAMW": ("mean", "square"),  # m, v
}


def draw_seed(seed: int, batch: int, rank: int = 0) -> int:
    """The seed of the random numbers that an engine draws for a batch, so that a resumed training draws the same.

    batch: the number of batches trained before. rank: each draws other numbers for its rows.
    """
    return int(np.random.SeedSequence([seed, batch, *([rank] if rank else [])]).generate_state(1)[0])


def averaging_decay(decay: float, step: int) -> float:
    """The share of the average of the weights (`ema`) that a step keeps; the first step is 1.

    It begins low, because otherwise the random weights at the start would rule the average of a short training. Until
    the share reaches `decay`, the average covers roughly the last tenth of the steps so far.
    """
    return min(decay, (1 + step) / (10 + step))
