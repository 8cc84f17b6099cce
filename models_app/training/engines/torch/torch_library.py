"""The first import of PyTorch, with OpenMP configured for it, and what the code that all engines share does with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models_app.training.engines import openmp

openmp.spin_briefly()

import torch  # noqa: E402 - OpenMP reads its configuration when PyTorch loads it


class TorchArrays:
    """The ArrayLibrary of PyTorch."""

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
