"""What the code that all engines share does with MXNet's arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models_app.training.engines.mxnet.compat import mx


class NDArrays:
    """The ArrayLibrary of MXNet."""

    def wait(self) -> None:
        """Wait for everything, because MXNet does not report that the backward pass writes the running averages."""
        mx.nd.waitall()

    def copy(self, array: mx.nd.NDArray) -> mx.nd.NDArray:
        return array.copy()

    def assign(self, array: mx.nd.NDArray, values: mx.nd.NDArray | np.ndarray) -> None:
        # By copyto(), because forward() stores some weights in oneDNN's blocks, which `array[:] =` can't write.
        (mx.nd.array(values, array.context) if isinstance(values, np.ndarray) else values).copyto(array)

    def numbers(self, array: mx.nd.NDArray) -> np.ndarray:
        return array.asnumpy()

    def approach(self, arrays: Sequence[mx.nd.NDArray], others: Sequence[mx.nd.NDArray], share: float) -> None:
        for array, other in zip(arrays, others, strict=True):
            approach(array, other, share)


def add_scaled(array: mx.nd.NDArray, factor: float, other: mx.nd.NDArray) -> None:
    """array ← array + factor·other, in one pass: sgd_update with the rate -factor."""
    if factor:
        mx.nd.sgd_update(array, other, lr=-factor, out=array)


def approach(array: mx.nd.NDArray, other: mx.nd.NDArray, share: float) -> None:
    """array ← (1 - share)·array + share·other: sgd_update with the rate -share and a decay of -1."""
    mx.nd.sgd_update(array, other, lr=-share, wd=-1, out=array)
