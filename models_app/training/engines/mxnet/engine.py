"""The MXNet engine: a network as bound executors that share their weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from digits_project.common.errors import BadInput
from models_app.training.engines.interface import EngineConfig
from models_app.training.engines.kept_weights import KeptWeights
from models_app.training.engines.mxnet.bound_executor import BoundExecutor
from models_app.training.engines.mxnet.compat import mx
from models_app.training.engines.mxnet.ndarrays import NDArrays
from models_app.training.engines.mxnet.replicas import Replicas
from models_app.training.engines.mxnet.solvers import SOLVERS
from models_app.training.hyperparameters import FP32
from models_app.training.measures import Scores, Tally


def open_engine(config: EngineConfig) -> MXNetEngine:
    """Build the network. Raises BadInput if the device does not exist."""
    return MXNetEngine(config)


class MXNetEngine(KeptWeights):
    """The Engine that trains with MXNet. train_batch() waits only until the device has read the previous batch."""

    def __init__(self, config: EngineConfig) -> None:
        self.name = f"mxnet {mx.__version__}"
        self.device = ", ".join(config.devices)
        self.threads = config.threads
        self.precision = FP32
        self._contexts = [_context(device) for device in config.devices]
        self._context = self._contexts[0]
        described = config.network.weights()
        arrays = {weight.name: mx.nd.zeros(weight.shape, self._context) for weight in described}
        self._solver = SOLVERS[config.solver_type]([w for w in described if w.trained], arrays, config)
        super().__init__(config, arrays, self._solver, NDArrays())
        self._tally = Tally(config.network, "val")
        self._draws = any(node.layer.type == "Dropout" for node in config.network.nodes("train"))
        self._replicas: Replicas | None = None
        self._bound: dict[str, BoundExecutor] = {}

    def train_batch(self, images: np.ndarray, labels: np.ndarray, learning_rate: float | None) -> None:
        replicas = self._training()
        if self._draws:
            self._begin_draws()
        replicas.run(images, labels)
        self._count_batch()
        if learning_rate is not None:
            replicas.gather()
            self._solver.step(learning_rate, self._gathered)
            replicas.spread()
            self._count_step()

    def _begin_draws(self) -> None:
        """Seed MXNet's random numbers, which dropout draws, from the training's seed and the number of the batch.

        So a resumed training draws the same numbers. It takes a millisecond a batch: MXNet seeds 1024 generators.
        """
        drawn = self._draw_seed()
        for context in self._contexts:  # each draws other numbers, because MXNet adds the device's number to the seed
            mx.random.seed(drawn, context)

    def training_scores(self) -> Scores:
        return self._training().scores()

    def evaluate_batch(self, images: np.ndarray, labels: np.ndarray) -> None:
        self._measuring("val").run(images, labels, is_train=False)

    def evaluation_scores(self) -> Scores:
        self._phase("val").read_scores()
        return self._tally.averages()

    def forward(self, images: np.ndarray) -> dict[str, np.ndarray]:
        bound = self._measuring("deploy")
        batch = np.zeros((self._config.batch_size, *images.shape[1:]), self._config.input_type)
        batch[: len(images)] = images
        bound.run(batch, None, is_train=False)
        results = zip(bound.outputs, bound.results, strict=True)
        return {name: value.asnumpy()[: len(images)] for name, value in results}

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        super().load_weights(weights)
        if self._replicas:
            self._replicas.load()

    def load_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        super().load_optimizer_state(state)
        if self._replicas:
            self._replicas.load()

    def _training(self) -> Replicas:
        """The executors of training, one for each device; bound when they are first needed."""
        if not self._replicas:
            self._replicas = Replicas(self._config, self._contexts, self._weights, self._solver.gradients)
        return self._replicas

    def _phase(self, phase: str) -> BoundExecutor:
        """The executor of a phase without training (val or deploy), on the first device; bound when it is first
        needed."""
        if phase not in self._bound:
            self._bound[phase] = BoundExecutor(self._config, phase, self._context, self._used_weights, {}, self._tally)
        return self._bound[phase]

    def _measuring(self, phase: str) -> BoundExecutor:
        bound = self._phase(phase)
        if self._averages.is_outdated(phase):
            self._library.wait()
            for name, divisor in self._averages.divisors(self._used_factors).items():
                bound.averages[name][:] = self._used_weights[name] / divisor
        return bound


def _context(device: str) -> mx.Context:
    if device.startswith("cpu"):
        return mx.cpu(int(device.removeprefix("cpu") or 0))
    number = int(device.removeprefix("gpu"))
    if number >= mx.context.num_gpus():
        raise BadInput(f"there is no {device}: MXNet finds {mx.context.num_gpus()} GPUs here")
    return mx.gpu(number)
