"""Lets the BatchNorm modules of a library's model measure the batches of all ranks."""

from __future__ import annotations

from models_app.training.engines.torch.distributed.shared_statistics import batch_norm_of_ranks
from models_app.training.engines.torch.operation import Tensor
from models_app.training.engines.torch.torch_library import torch

BATCH_NORMS = torch.nn.modules.batchnorm._BatchNorm


def share_statistics(model: torch.nn.Module) -> None:
    """Let every BatchNorm of the model that is in training mode normalize by the batch of all ranks.

    The modules get a subclass of their own class, so that the names of their weights stay.
    """
    for module in model.modules():
        if isinstance(module, BATCH_NORMS) and module.training:
            module.__class__ = type(f"Shared{type(module).__name__}", (_OfRanks, type(module)), {})


class _OfRanks:
    """What a BatchNorm computes with several ranks; `drop` and `act` are those of timm's BatchNormAct2d."""

    def forward(self, value: Tensor) -> Tensor:
        mean, variance = (torch.empty_like(average) for average in (self.running_mean, self.running_var))
        value = batch_norm_of_ranks(value, mean, variance, self.weight, self.bias, self.eps)
        with torch.no_grad():
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance, self.momentum)
        return self.act(self.drop(value)) if hasattr(self, "act") else value
