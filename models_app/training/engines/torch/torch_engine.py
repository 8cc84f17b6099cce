"""The PyTorch engine: a network as modules that share their weights, one for each phase."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np

from models_app.networks import Network, TimmNetwork
from models_app.networks.export.network_onnx import write_onnx
from models_app.networks.timm.timm_network import LAYER_TYPE
from models_app.training.engines import memory_limits
from models_app.training.engines.interface import EngineConfig, draw_seed
from models_app.training.engines.running_averages import RunningAverages
from models_app.training.engines.torch.batch_feed import open_feed
from models_app.training.engines.torch.compiling import compile_if_possible
from models_app.training.engines.torch.distributed.shared_gradients import OwnGradients, SharedGradients
from models_app.training.engines.torch.layer_operations import TIMM_NETWORKS
from models_app.training.engines.torch.network_memory import check_fits
from models_app.training.engines.torch.phase_module import PhaseModule
from models_app.training.engines.torch.tensor_scores import TensorScores
from models_app.training.engines.torch.torch_device import open_device, refuse_other_bits
from models_app.training.engines.torch.torch_library import TorchArrays, torch
from models_app.training.engines.torch.torch_solver import TorchSolver
from models_app.training.engines.weight_average import WeightAverage
from models_app.training.measures import Scores, Tally

logger = logging.getLogger("trainer")
Arrays = dict[str, torch.Tensor]
DRAWING = ("Dropout", LAYER_TYPE)  # layer types that can draw random numbers


def open_engine(config: EngineConfig) -> TorchEngine:
    """Build the network. Raises BadInput if the device does not exist, or can't train as configured."""
    return TorchEngine(config)


class TorchEngine:
    """The Engine that trains with PyTorch. On a GPU, train_batch() returns while the GPU still computes."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._device = open_device(config)
        self.name = f"torch {torch.__version__}"
        self.device = config.devices[0]
        self.threads = config.threads
        self.precision = self._device.precision
        self._feed = open_feed(self._device)
        weights = config.network.weights()
        self._averages = RunningAverages(config.network)
        with self._refusing():
            self._weights = {w.name: _array(w.shape, w.trained, self._device.device) for w in weights}
            self._solver = TorchSolver([w for w in weights if w.trained], self._weights, config)
            changing = [*(w.name for w in weights if w.trained), *self._averages.names]
            self._average = WeightAverage(config.ema, self._weights, changing, TorchArrays()) if config.ema else None
        self._draws = any(node.layer.type in DRAWING for node in config.network.nodes("train"))
        self._exportable = exportable(config.network)
        self._gathered = 0  # batches since the last step
        self._evaluated = Tally(config.network, "val", ranks=config.ranks)
        self._phases: dict[str, PhaseModule] = {}  # val and deploy, once they are needed
        self._normalized_by: dict[str, Arrays] = {}  # the running averages of a phase, divided by their factors

    def train_batch(self, images: np.ndarray, labels: np.ndarray, learning_rate: float | None) -> None:
        module = self._training
        with self._refusing():
            if self._draws:
                batches, rank = self._solver.batches + self._gathered, self._config.ranks.number
                torch.manual_seed(draw_seed(self._config.seed, batches, rank))
            batch = self._feed.send(images, labels)
            with self._gradients.of_step(learning_rate is not None):
                with self._device.reduced_precision():
                    loss, compared = self._gradients(*batch)
                loss.backward()
            module.move_averages()
            self._averages.count_batch()
            self._gathered += 1
            if learning_rate is not None:
                self._step(learning_rate)
            self._feed.end_batch()
            self._training_scores.keep(compared, labels)

    def _step(self, learning_rate: float) -> None:
        self._solver.step(learning_rate, self._gathered)
        self._gathered = 0
        if self._average:
            self._average.update(self._solver.steps, self._averages.factors())

    def training_scores(self) -> Scores:
        self._training_scores.read()
        return self._trained.averages()

    def evaluate_batch(self, images: np.ndarray, labels: np.ndarray) -> None:
        module = self._measuring("val")
        with self._refusing(), torch.no_grad(), self._device.reduced_precision():
            _, compared = module(*self._feed.send(images, labels))
            self._feed.end_batch()
            self._evaluation_scores.keep(compared, labels)

    def evaluation_scores(self) -> Scores:
        self._evaluation_scores.read()
        return self._evaluated.averages()

    def forward(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """As the interface says; always in fp32, as model.onnx computes."""
        module = self._measuring("deploy")
        with self._refusing(), torch.no_grad():
            _, results = module(*self._feed.send(images, None))
            self._feed.end_batch()
        return dict(zip(module.outputs, map(TorchArrays().numbers, results), strict=True))

    def weights(self) -> dict[str, np.ndarray]:
        arrays = {name: TorchArrays().numbers(array) for name, array in self._used_weights.items()}
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
        for name, array in self._weights.items():
            TorchArrays().assign(array, weights[name])
        self._averages.load_factors(weights)
        if self._average:
            self._average.begin(self._averages.factors())

    def optimizer_state(self) -> dict[str, np.ndarray]:
        return {**self._solver.state(), **self._state_of_averages()}

    def load_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        of_averages = self._state_of_averages()
        self._solver.load_state({name: array for name, array in state.items() if name not in of_averages})
        self._averages.load_state(state)
        if self._average:
            self._average.load_state(state)

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
            self._exportable,
            weights,
            path,
            config.mean,
            labels,
            metadata,
            image_shape,
            config.scale,
            config.aug_whitening,
        )

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """A context that raises BadInput if there is too little memory, or no way to the same bits."""
        with refuse_other_bits(), memory_limits.refuse_too_large(self._config, RuntimeError):
            yield

    @cached_property
    def _training(self) -> PhaseModule:
        """The module of training, made when it is first needed."""
        check_fits(replace(self._config, batch_size=self._config.own_size), self._device.memory)
        module = PhaseModule(self._config, "train", self._weights, self._device.device)
        if self._config.compile_network:
            compile_if_possible(module, self._device.device)
        return module

    @cached_property
    def _gradients(self) -> OwnGradients:
        """Calls the module of training."""
        if self._config.ranks.count == 1:
            return OwnGradients(self._training)
        return SharedGradients(self._training, self._device.device, self._config.network)

    @cached_property
    def _trained(self) -> Tally:
        config = self._config
        return Tally(config.network, "train", soft_labels=config.has_soft_labels, ranks=config.ranks)

    @cached_property
    def _training_scores(self) -> TensorScores:
        return TensorScores(self._training.outputs, self._training.batch_numbers, self._trained)

    @cached_property
    def _evaluation_scores(self) -> TensorScores:
        validation = self._measuring("val")
        return TensorScores(validation.outputs, validation.batch_numbers, self._evaluated)

    def _measuring(self, phase: str) -> PhaseModule:
        """The module of a phase without training (val or deploy), with the running averages of now."""
        divisors = self._averages.divisors(self._used_factors)
        if phase not in self._phases:
            self._normalized_by[phase] = {name: torch.zeros_like(self._weights[name]) for name in divisors}
            weights = {**self._used_weights, **self._normalized_by[phase]}
            self._phases[phase] = PhaseModule(self._config, phase, weights, self._device.device)
        if self._averages.is_outdated(phase):
            for name, divisor in divisors.items():
                torch.div(self._used_weights[name], divisor, out=self._normalized_by[phase][name])
        return self._phases[phase]


def _array(shape: tuple[int, ...], is_trained: bool, device: torch.device) -> torch.Tensor:
    """An array of zeros for a weight. Filters are stored with their channels last, as convolutions read them."""
    array = torch.zeros(shape, device=device)
    if len(shape) == 4:
        array = array.contiguous(memory_format=torch.channels_last)
    return torch.nn.Parameter(array) if is_trained else array


def exportable(network: Network) -> Network:
    """The network as write_onnx() takes it: of timm with its graph, which is made once, before the training."""
    if not isinstance(network, TimmNetwork):
        return network
    made: Network = importlib.import_module(TIMM_NETWORKS).with_graph(network)
    return made
