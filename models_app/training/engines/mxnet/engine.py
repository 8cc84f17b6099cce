"""The MXNet engine: a network as bound executors that share their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from digits_project.common.errors import BadInput
from models_app.networks.export.network_onnx import write_onnx
from models_app.training.engines.interface import EngineConfig, draw_seed
from models_app.training.engines.mxnet.bound_executor import Arrays, BoundExecutor
from models_app.training.engines.mxnet.compat import mx
from models_app.training.engines.mxnet.ndarrays import NDArrays
from models_app.training.engines.mxnet.replicas import Replicas
from models_app.training.engines.mxnet.solvers import SOLVERS
from models_app.training.engines.running_averages import RunningAverages
from models_app.training.engines.weight_average import WeightAverage
from models_app.training.hyperparameters import FP32
from models_app.training.measures import Scores, Tally


def open_engine(config: EngineConfig) -> MXNetEngine:
    """Build the network. Raises BadInput if the device does not exist."""
    return MXNetEngine(config)


class MXNetEngine:
    """The Engine that trains with MXNet. train_batch() waits only until the device has read the previous batch."""

    def __init__(self, config: EngineConfig) -> None:
        self.name = f"mxnet {mx.__version__}"
        self.device = ", ".join(config.devices)
        self.threads = config.threads
        self.precision = FP32
        self._config = config
        self._contexts = [_context(device) for device in config.devices]
        self._context = self._contexts[0]
        weights = config.network.weights()
        self._averages = RunningAverages(config.network)
        self._tally = Tally(config.network, "val")
        self._weights = {w.name: mx.nd.zeros(w.shape, self._context) for w in weights}
        self._solver = SOLVERS[config.solver_type]([w for w in weights if w.trained], self._weights, config)
        changing = [*(w.name for w in weights if w.trained), *self._averages.names]
        self._average = WeightAverage(config.ema, self._weights, changing, NDArrays()) if config.ema else None
        self._draws = any(node.layer.type == "Dropout" for node in config.network.nodes("train"))
        self._gathered = 0  # batches since the last step
        self._replicas: Replicas | None = None
        self._bound: dict[str, BoundExecutor] = {}

    def train_batch(self, images: np.ndarray, labels: np.ndarray, learning_rate: float | None) -> None:
        replicas = self._training()
        if self._draws:
            self._begin_draws()
        replicas.run(images, labels)
        self._averages.count_batch()
        self._gathered += 1
        if learning_rate is not None:
            replicas.gather()
            self._solver.step(learning_rate, self._gathered)
            replicas.spread()
            self._gathered = 0
            if self._average:
                self._update_average(self._average)

    def _update_average(self, average: WeightAverage) -> None:
        factors = self._averages.factors()
        if factors:
            mx.nd.waitall()  # MXNet does not report that the backward pass writes the running averages
        average.update(self._solver.steps, factors)

    def _begin_draws(self) -> None:
        """Seed MXNet's random numbers, which dropout draws, from the training's seed and the number of the batch.

        So a resumed training draws the same numbers. It takes a millisecond a batch: MXNet seeds 1024 generators.
        """
        drawn = draw_seed(self._config.seed, self._solver.batches + self._gathered)
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

    def weights(self) -> dict[str, np.ndarray]:
        mx.nd.waitall()  # MXNet does not report that the backward pass writes the running averages
        arrays = {name: array.asnumpy() for name, array in self._used_weights.items()}
        factors = {name: np.array([factor], np.float32) for name, factor in self._used_factors.items()}
        return {**arrays, **factors}

    @property
    def _used_weights(self) -> Arrays:
        """The weights that validation, forward() and snapshots use."""
        return self._average.arrays if self._average else self._weights

    @property
    def _used_factors(self) -> dict[str, float]:
        return self._average.factors if self._average else self._averages.factors()

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        mx.nd.waitall()
        for name, array in self._weights.items():
            # By copyto(), because forward() stores some weights in oneDNN's blocks, which `array[:] =` can't write.
            mx.nd.array(weights[name], self._context).copyto(array)
        self._averages.load_factors(weights)
        if self._average:
            self._average.begin(self._averages.factors())
        if self._replicas:
            self._replicas.load()

    def optimizer_state(self) -> dict[str, np.ndarray]:
        return {**self._solver.state(), **self._state_of_averages()}

    def load_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        of_averages = self._state_of_averages()
        self._solver.load_state({name: array for name, array in state.items() if name not in of_averages})
        self._averages.load_state(state)
        if self._average:
            self._average.load_state(state)
            if self._replicas:
                self._replicas.load()

    def _state_of_averages(self) -> dict[str, np.ndarray]:
        return {**self._averages.state(), **(self._average.state() if self._average else {})}

    def export(
        self,
        path: Path,
        weights: Mapping[str, np.ndarray],
        labels: Sequence[str],
        metadata: Mapping[str, str],
        image_shape: tuple[int, int, int],
    ) -> None:
        config = self._config
        write_onnx(
            config.network,
            weights,
            path,
            config.mean,
            labels,
            metadata,
            image_shape,
            config.scale,
            config.aug_whitening,
        )

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
            mx.nd.waitall()  # as in weights()
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
