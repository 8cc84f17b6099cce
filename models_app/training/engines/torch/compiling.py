"""Compiles a network with torch.compile, which needs a C compiler on the host."""

from __future__ import annotations

import logging

from models_app.training.engines.torch.torch_library import torch

logger = logging.getLogger("trainer")


def compile_if_possible(module: torch.nn.Module, device: torch.device) -> None:
    """Let a module compile itself at its first batch. If this host can't compile, log why and leave it as it is."""
    if problem := _problem(device):
        logger.warning("compile_network: the network is trained without being compiled, because %s", problem)
        return
    module.compile(dynamic=False)


def _problem(device: torch.device) -> str:
    """Why nothing can be compiled for the device on this host; "" if it can."""
    try:
        torch.compile(_increased)(torch.zeros(8, device=device))
    except (RuntimeError, OSError) as error:  # torch.compile's own exceptions, and those of the compiler's process
        first_line, *_ = str(error).strip().splitlines() or [type(error).__name__]
        return first_line
    return ""


def _increased(value: torch.Tensor) -> torch.Tensor:
    return value.sin() + 1
