"""How every engine keeps the weights of a training, their averages, and the solver's memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from models_app.networks.export.network_onnx import write_onnx
from models_app.training.engines.array_library import Array, ArrayLibrary
from models_app.training.engines.interface import EngineConfig, draw_seed
from models_app.training.engines.running_averages import RunningAverages
from models_app.training.engines.solver_memory import SolverMemory
from models_app.training.engines.weight_average import WeightAverage


class KeptWeights:
    """The base of an Engine: weights, the factors of their running averages, their average over the steps (`ema`), the
    solver's memory, and the export of all that. The engine computes, and calls _count_batch() and _count_step().

    weights: an array for each of Network.weights(), which the training changes in place; those of the BatchNorms'
    factors are not used.
    """

    def __init__(
        self, config: EngineConfig, weights: Mapping[str, Array], solver: SolverMemory, library: ArrayLibrary
    ) -> None:
        self._config = config
        self._weights = dict(weights)
        self._exported = config.network  # as write_onnx() takes it
        self._averages = RunningAverages(config.network)
        self._memory = solver
        self._library = library
        self._gathered = 0  # batches since the last step
        trained = (weight.name for weight in config.network.weights() if weight.trained)
        changing = [*trained, *self._averages.names]
        is_averaged = config.ema and changing
        self._average = WeightAverage(config.ema, self._weights, changing, library) if is_averaged else None

    def _draw_seed(self) -> int:
        """The seed of the random numbers of the next batch."""
        return draw_seed(self._config.seed, self._memory.batches + self._gathered, self._config.ranks.number)

    def _count_batch(self) -> None:
        """Count a trained batch."""
        self._averages.count_batch()
        self._gathered += 1

    def _count_step(self) -> None:
        """Count a step that the solver has taken, and add its weights to their average."""
        self._gathered = 0
        if self._average:
            if factors := self._averages.factors():
                self._library.wait()
            self._average.update(self._memory.steps, factors)

    @property
    def _used_weights(self) -> dict[str, Array]:
        """The weights that validation, forward() and snapshots use."""
        return self._average.arrays if self._average else self._weights

    @property
    def _used_factors(self) -> dict[str, float]:
        return self._average.factors if self._average else self._averages.factors()

    def weights(self) -> dict[str, np.ndarray]:
        self._library.wait()
        arrays = {name: self._library.numbers(array) for name, array in self._used_weights.items()}
        factors = {name: np.array([factor], np.float32) for name, factor in self._used_factors.items()}
        return {**arrays, **factors}

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        self._library.wait()
        for name, array in self._weights.items():
            self._library.assign(array, weights[name])
        self._averages.load_factors(weights)
        if self._average:
            self._average.begin(self._averages.factors())

    def optimizer_state(self) -> dict[str, np.ndarray]:
        return {**self._memory.state(), **self._state_of_averages()}

    def load_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        of_averages = self._state_of_averages()
        self._memory.load_state({name: array for name, array in state.items() if name not in of_averages})
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
        whitening = config.aug_whitening
        write_onnx(self._exported, weights, path, config.mean, labels, metadata, image_shape, config.scale, whitening)
