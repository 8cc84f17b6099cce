"""The first import of PyTorch, with OpenMP and glibc configured for it, and what the code that all engines share does
with it."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np

from models_app.training.engines import openmp

openmp.spin_briefly()

import torch  # noqa: E402 - OpenMP reads its configuration when PyTorch loads it

# Parameters of glibc's mallopt, and the values with which it keeps the memory of large tensors for the next step. By
# default it returns that memory, and the kernel clears it again: 6 % of the processor time of ResNet-18's steps.
MMAP_THRESHOLD, TRIM_THRESHOLD = -3, -1
LARGEST_KEPT, KEPT_TOGETHER = 1 << 25, 2**31 - 1

_libc = ctypes.CDLL(None)
_libc.mallopt(MMAP_THRESHOLD, LARGEST_KEPT)
_libc.mallopt(TRIM_THRESHOLD, KEPT_TOGETHER)


class TorchArrays:
    """The ArrayLibrary of PyTorch."""

    def wait(self) -> None:
        """Nothing: reading a tensor waits for all that writes it."""

    def copy(self, array: torch.Tensor) -> torch.Tensor:
        return array.detach().clone()

    def assign(self, array: torch.Tensor, values: torch.Tensor | np.ndarray) -> None:
        array.detach().copy_(tensor_of(values) if isinstance(values, np.ndarray) else values.detach())

    def numbers(self, array: torch.Tensor) -> np.ndarray:
        return array.detach().to("cpu", torch.float32, copy=True, memory_format=torch.contiguous_format).numpy()

    def approach(self, arrays: Sequence[torch.Tensor], others: Sequence[torch.Tensor], share: float) -> None:
        with torch.no_grad():
            torch._foreach_lerp_(list(arrays), list(others), share)


def tensor_of(array: np.ndarray) -> torch.Tensor:
    """A tensor of an array's numbers, without a copy if PyTorch can share them."""
    return torch.from_numpy(np.require(array, requirements=["C_CONTIGUOUS", "WRITEABLE"]))


__all__ = ["TorchArrays", "tensor_of", "torch"]
