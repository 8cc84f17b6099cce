"""The PyTorch engine: a network as modules that share their weights, one for each phase."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import numpy as np

from models_app.networks import Network, TimmNetwork
from models_app.networks.timm.timm_network import LAYER_TYPE
from models_app.training.engines import memory_limits
from models_app.training.engines.interface import EngineConfig
from models_app.training.engines.kept_weights import KeptWeights
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
from models_app.training.measures import Scores, Tally

logger = logging.getLogger("trainer")
Arrays = dict[str, torch.Tensor]
DRAWING = ("Dropout", LAYER_TYPE)  # layer types that can draw random numbers


def open_engine(config: EngineConfig) -> TorchEngine:
    """Build the network. Raises BadInput if the device does not exist, or can't train as configured."""
    return TorchEngine(config)


class TorchEngine(KeptWeights):
    """The Engine that trains with PyTorch. On a GPU, train_batch() returns while the GPU still computes."""

    def __init__(self, config: EngineConfig) -> None:
        self._device = open_device(config)
        self.name = f"torch {torch.__version__}"
        self.device = config.devices[0]
        self.threads = config.threads
        self.precision = self._device.precision
        self._feed = open_feed(self._device)
        described = config.network.weights()
        with _refusing(config):
            arrays = {w.name: _array(w.shape, w.trained, self._device.device) for w in described}
            self._solver = TorchSolver([w for w in described if w.trained], arrays, config)
            super().__init__(config, arrays, self._solver, TorchArrays())
        self._draws = any(node.layer.type in DRAWING for node in config.network.nodes("train"))
        self._exported = exportable(config.network)
        self._evaluated = Tally(config.network, "val", ranks=config.ranks)
        self._phases: dict[str, PhaseModule] = {}  # val and deploy, once they are needed
        self._normalized_by: dict[str, Arrays] = {}  # the running averages of a phase, divided by their factors

    def train_batch(self, images: np.ndarray, labels: np.ndarray, learning_rate: float | None) -> None:
        module = self._training
        with _refusing(self._config):
            if self._draws:
                torch.manual_seed(self._draw_seed())
            batch = self._feed.send(images, labels)
            with self._gradients.of_step(learning_rate is not None):
                with self._device.reduced_precision():
                    loss, compared = self._gradients(*batch)
                if loss.requires_grad:  # a network without weights has nothing to differentiate by
                    loss.backward()
            module.move_averages()
            self._count_batch()
            if learning_rate is not None:
                self._solver.step(learning_rate, self._gathered)
                self._count_step()
            self._feed.end_batch()
            self._training_scores.keep(compared, labels)

    def training_scores(self) -> Scores:
        self._training_scores.read()
        return self._trained.averages()

    def evaluate_batch(self, images: np.ndarray, labels: np.ndarray) -> None:
        module = self._measuring("val")
        with _refusing(self._config), torch.no_grad(), self._device.reduced_precision():
            _, compared = module(*self._feed.send(images, labels))
            self._feed.end_batch()
            self._evaluation_scores.keep(compared, labels)

    def evaluation_scores(self) -> Scores:
        self._evaluation_scores.read()
        return self._evaluated.averages()

    def forward(self, images: np.ndarray) -> dict[str, np.ndarray]:
        """As the interface says; always in fp32, as model.onnx computes."""
        module = self._measuring("deploy")
        with _refusing(self._config), torch.no_grad():
            _, results = module(*self._feed.send(images, None))
            self._feed.end_batch()
        return dict(zip(module.outputs, map(TorchArrays().numbers, results), strict=True))

    @cached_property
    def _training(self) -> PhaseModule:
        """The module of training, made when it is first needed."""
        check_fits(self._config, self._device.memory)
        module = PhaseModule(self._config, "train", self._weights, self._device.device)
        if self._config.compile_network:
            compile_if_possible(module, self._device.device)
        return module

    @cached_property
    def _gradients(self) -> OwnGradients:
        """Calls the module of training."""
        if self._config.ranks.count == 1 or not len(self._training.trained):
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


@contextmanager
def _refusing(config: EngineConfig) -> Iterator[None]:
    """A context that raises BadInput if there is too little memory, or no way to the same bits."""
    with refuse_other_bits(), memory_limits.refuse_too_large(config, RuntimeError):
        yield


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
