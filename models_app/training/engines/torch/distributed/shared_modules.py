"""Lets the BatchNorm modules of a library's model measure the batches of all ranks."""

from __future__ import annotations

from typing import Any

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
            name = f"Shared{type(module).__name__}"
            module.__class__ = type(name, (type(module),), {"forward": _forward_of_ranks})


def _forward_of_ranks(module: Any, value: Tensor) -> Tensor:
    """What a BatchNorm computes with several ranks; `drop` and `act` are those of timm's BatchNormAct2d."""
    mean, variance = (torch.empty_like(average) for average in (module.running_mean, module.running_var))
    value = batch_norm_of_ranks(value, mean, variance, module.weight, module.bias, module.eps)
    with torch.no_grad():
        module.running_mean.lerp_(mean, module.momentum)
        module.running_var.lerp_(variance, module.momentum)
    return module.act(module.drop(value)) if hasattr(module, "act") else value
