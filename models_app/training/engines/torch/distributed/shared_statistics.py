"""BatchNorm over the batches of all ranks, by the formulas of PyTorch's SyncBatchNorm, on CPUs too."""

from __future__ import annotations

from typing import Any

from models_app.training.engines.torch.operation import Tensor
from models_app.training.engines.torch.torch_library import torch
from models_app.training.ranks.rank import Ranks

dist = torch.distributed


def batch_norm_of_ranks(value: Tensor, mean: Tensor, variance: Tensor, gain: Tensor | None, bias: Tensor | None,
                        eps: float) -> Tensor:  # fmt: skip
    """Normalize by the mean and variance over the batches of all ranks, and write them into `mean` and `variance`, as
    torch.nn.functional.batch_norm does with a momentum of 1. Every rank has to call it, and its backward pass."""
    return _BatchNormOfRanks.apply(value, mean, variance, gain, bias, eps)


def total_of_ranks(number: Tensor, ranks: Ranks) -> Tensor:
    """The sum of a number over all ranks, without a gradient. Every rank has to call it."""
    if ranks.count > 1:
        dist.all_reduce(number)
    return number


class _BatchNormOfRanks(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, value: Tensor, mean: Tensor, variance: Tensor, gain: Tensor | None, bias: Tensor | None,
                eps: float) -> Tensor:  # fmt: skip
        axes = _axes(value)
        found_variance, found_mean = torch.var_mean(value.float(), axes, correction=0)
        number = value.numel() // value.shape[1]
        counts, means, squares = _gathered(found_mean, found_variance * number, number)
        total = counts.sum()
        mean_of_all = (means * counts).sum(0) / total
        squares_of_all = (squares + counts * (means - mean_of_all).square()).sum(0)
        inverse = torch.rsqrt(squares_of_all / total + eps)
        mean.copy_(mean_of_all)
        variance.copy_(squares_of_all / (total - 1).clamp(min=1))
        ctx.save_for_backward(value, mean_of_all, inverse, gain, total)
        ctx.has_bias = bias is not None
        return torch.nn.functional.batch_norm(value, mean_of_all, squares_of_all / total, gain, bias, eps=eps)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        value, mean, inverse, gain, total = ctx.saved_tensors
        axes, shape = _axes(value), (1, -1, *[1] * (value.dim() - 2))
        standard = (value.float() - mean.view(shape)) * inverse.view(shape)
        slope = gradient.float()
        of_bias, of_gain = slope.sum(axes), (slope * standard).sum(axes)
        sums = torch.stack([of_bias, of_gain])
        dist.all_reduce(sums)
        factor = inverse if gain is None else inverse * gain
        centred = slope - (sums[0] / total).view(shape) - standard * (sums[1] / total).view(shape)
        of_value = (centred * factor.view(shape)).to(value.dtype)
        return of_value, None, None, None if gain is None else of_gain, of_bias if ctx.has_bias else None, None


def _axes(value: Tensor) -> list[int]:
    return [axis for axis in range(value.dim()) if axis != 1]


def _gathered(mean: Tensor, squares: Tensor, number: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of each rank: the number of values (ranks×1), their means and their sums of squared differences
    (ranks×channels)."""
    own = torch.cat([mean, squares, mean.new_tensor([float(number)])])
    of_ranks = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(of_ranks, own)
    stacked, channels = torch.stack(of_ranks), len(mean)
    return stacked[:, -1:], stacked[:, :channels], stacked[:, channels : 2 * channels]
