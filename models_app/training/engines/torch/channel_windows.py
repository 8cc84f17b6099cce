"""Local response normalization across channels, with a backward pass of its own.

PyTorch's local_response_norm pools over a copy of the squares that is padded in a further axis.
"""

from __future__ import annotations

from typing import Any

from models_app.training.engines.torch.torch_library import torch


def normalize(value: torch.Tensor, size: int, factor: float, beta: float, k: float) -> torch.Tensor:
    """x / (k + factor · Σ x²)^beta, where the sum runs over the `size` channels around x."""
    return _Normalization.apply(value.float(), size // 2, factor, beta, k)


def _window_sums(value: torch.Tensor, reach: int) -> torch.Tensor:
    """For each channel the sum over the channels at most `reach` away."""
    sums = value.clone()
    for distance in range(1, min(reach, value.shape[1] - 1) + 1):
        sums[:, distance:] += value[:, :-distance]
        sums[:, :-distance] += value[:, distance:]
    return sums


class _Normalization(torch.autograd.Function):
    """With s = k + factor·Σ x² the gradient of x is g·s^-β - 2·factor·β·x·Σ g·x·s^(-β-1)."""

    @staticmethod
    def forward(context: Any, value: torch.Tensor, reach: int, factor: float, beta: float, k: float) -> torch.Tensor:
        scale = _window_sums(value.square(), reach).mul_(factor).add_(k)
        power = scale.pow(-beta)
        context.save_for_backward(value, scale, power)
        context.reach, context.factor = reach, 2 * factor * beta
        return value * power

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        value, scale, power = context.saved_tensors
        direct = gradients[0] * power
        sums = _window_sums((direct * value).div_(scale), context.reach)
        return direct.sub_(sums.mul_(value), alpha=context.factor), None, None, None, None
