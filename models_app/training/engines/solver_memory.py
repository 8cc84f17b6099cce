"""What a solver remembers from step to step, as every engine stores it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from digits_project.common.errors import BadInput
from models_app.training.engines.array_library import Array, ArrayLibrary

DELTA = 1e-8  # Caffe's default; keeps divisors above zero
BETA2 = 0.999  # Caffe's momentum2


class SolverMemory:
    """The numbers of steps and batches, and the arrays of OPTIMIZER_SLOTS for each weight.

    arrays: "<weight>.<slot>".
    """

    def __init__(self, solver_type: str, arrays: Mapping[str, Array], library: ArrayLibrary) -> None:
        self.steps = 0  # taken so far
        self.batches = 0  # trained so far
        self._solver_type = solver_type
        self._arrays = arrays
        self._library = library

    def state(self) -> dict[str, np.ndarray]:
        """All arrays on which the next steps depend."""
        counts = {"steps": np.array(self.steps), "batches": np.array(self.batches)}
        return {**counts, **{name: self._library.numbers(array) for name, array in self._arrays.items()}}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """The inverse of state(). Raises BadInput if the state is of another solver or another network."""
        shapes = {"steps": (), "batches": (), **{name: tuple(array.shape) for name, array in self._arrays.items()}}
        if {name: array.shape for name, array in state.items()} != shapes:
            raise BadInput(f"the solver state in the snapshot does not fit {self._solver_type} with this network")
        self.steps, self.batches = int(state["steps"]), int(state["batches"])
        for name, array in self._arrays.items():
            self._library.assign(array, state[name])
