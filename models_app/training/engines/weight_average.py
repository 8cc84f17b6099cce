"""The exponential moving average of a training's weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from digits_project.common.errors import BadInput
from models_app.training.engines.array_library import Array, ArrayLibrary
from models_app.training.engines.interface import averaging_decay

RAW, AVERAGE = ".raw", ".average"


class WeightAverage:
    """a ← d·a + (1 - d)·w after each step, for every weight w that the training changes, with
    d = averaging_decay(decay, step).

    The running averages of a BatchNorm and its factor are weights like others: averaged both, their quotient is again
    an average of the batches' statistics. A factor is a number in double precision, as in the engine.

    arrays: the averages, and the weights that don't change. factors: the averages of the BatchNorms' factors, by the
    weights' names.
    """

    def __init__(
        self, decay: float, weights: Mapping[str, Array], changing: Collection[str], library: ArrayLibrary
    ) -> None:
        self._decay = decay
        self._library = library
        self._changing = {name: weights[name] for name in changing}
        self._averages = {name: library.copy(array) for name, array in self._changing.items()}
        self.arrays = {**weights, **self._averages}
        self.factors: dict[str, float] = {}

    def begin(self, factors: Mapping[str, float]) -> None:
        """Take the current weights as the averages."""
        for name, average in self._averages.items():
            self._library.assign(average, self._changing[name])
        self.factors = dict(factors)

    def update(self, step: int, factors: Mapping[str, float]) -> None:
        """Add the weights after a step of the solver, the first being step 1."""
        share = 1 - averaging_decay(self._decay, step)
        self._library.approach(list(self._averages.values()), list(self._changing.values()), share)
        self.factors = {name: average + share * (factors[name] - average) for name, average in self.factors.items()}

    def state(self) -> dict[str, np.ndarray]:
        """The weights that the training goes on from, and the exact averages of the factors."""
        raw = {name + RAW: self._library.numbers(array) for name, array in self._changing.items()}
        return raw | {name + AVERAGE: np.array(factor) for name, factor in self.factors.items()}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """The inverse of state(). Call it when the averages are loaded. Raises BadInput for a state without it."""
        try:
            for name, array in self._changing.items():
                self._library.assign(array, state[name + RAW])
            self.factors = {name: float(state[name + AVERAGE]) for name in self.factors}
        except KeyError as missing:
            raise BadInput(f"the snapshot does not have the weights before their average: {missing}") from missing
