"""The exponential moving average of a training's weights."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from digits_project.common.errors import BadInput
from models_app.training.engines.interface import averaging_decay
from models_app.training.engines.mxnet.bound_executor import Arrays
from models_app.training.engines.mxnet.compat import mx
from models_app.training.engines.mxnet.solvers import approach

RAW, AVERAGE = ".raw", ".average"


class WeightAverage:
    """a ← d·a + (1 - d)·w after each step, for every weight w that the training changes, with
    d = averaging_decay(decay, step).

    The running averages of a BatchNorm and its factor are weights like others: averaged both, their quotient is again
    an average of the batches' statistics. A factor is a number in double precision, as in the engine.

    arrays: the averages, and the weights that don't change. factors: the averages of the BatchNorms' factors, by the
    weights' names.
    """

    def __init__(self, decay: float, weights: Arrays, changing: Collection[str]) -> None:
        self._decay = decay
        self._weights = weights
        self._changing = changing
        self.arrays = {name: array.copy() if name in changing else array for name, array in weights.items()}
        self.factors: dict[str, float] = {}

    def begin(self, factors: Mapping[str, float]) -> None:
        """Take the current weights as the averages."""
        for name in self._changing:
            self.arrays[name][:] = self._weights[name]
        self.factors = dict(factors)

    def update(self, step: int, factors: Mapping[str, float]) -> None:
        """Add the weights after a step of the solver, the first being step 1."""
        share = 1 - averaging_decay(self._decay, step)
        if factors:
            mx.nd.waitall()  # MXNet does not report that the backward pass writes the running averages
        for name in self._changing:
            approach(self.arrays[name], self._weights[name], share)
        self.factors = {name: average + share * (factors[name] - average) for name, average in self.factors.items()}

    def state(self) -> dict[str, np.ndarray]:
        """The weights that the training goes on from, and the exact averages of the factors."""
        raw = {name + RAW: self._weights[name].asnumpy() for name in self._changing}
        return raw | {name + AVERAGE: np.array(factor) for name, factor in self.factors.items()}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """The inverse of state(). Call it when the averages are loaded. Raises BadInput for a state without it."""
        try:
            for name in self._changing:
                self._weights[name][:] = state[name + RAW]
            self.factors = {name: float(state[name + AVERAGE]) for name in self.factors}
        except KeyError as missing:
            raise BadInput(f"the snapshot does not have the weights before their average: {missing}") from missing
