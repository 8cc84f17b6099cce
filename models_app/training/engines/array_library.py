"""What the code that all engines share does with an engine's arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

Array = Any  # of the engine's library


class ArrayLibrary(Protocol):
    """The operations of an engine's library on its arrays, which are float32."""

    def wait(self) -> None:
        """Wait for what reading an array would not wait for."""

    def copy(self, array: Array) -> Array:
        """A new array with the same numbers, on the same device."""

    def assign(self, array: Array, values: Array | np.ndarray) -> None:
        """Write values of the same shape into an array."""

    def numbers(self, array: Array) -> np.ndarray:
        """The numbers of an array, in memory of their own."""

    def approach(self, arrays: Sequence[Array], others: Sequence[Array], share: float) -> None:
        """array ← (1 - share)·array + share·other, for each pair."""
