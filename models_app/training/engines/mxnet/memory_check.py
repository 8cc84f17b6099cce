"""Checks before a training starts whether it fits into memory; the kernel kills a process that takes too much."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager

from digits_project.common import resources
from models_app.training.engines import memory_limits
from models_app.training.engines.interface import EngineConfig
from models_app.training.engines.mxnet.compat import mx


def refuse_too_large(config: EngineConfig) -> AbstractContextManager[None]:
    """A context that raises BadInput if MXNet can't allocate memory for the network inside of it."""
    return memory_limits.refuse_too_large(config, mx.base.MXNetError)


def check_fits(config: EngineConfig, executor: mx.executor.Executor, context: mx.Context) -> None:
    """Raise BadInput if the executor's planned memory is more than there is."""
    memory_limits.check_room(config, planned_bytes(executor), _memory_of(context))


def planned_bytes(executor: mx.executor.Executor) -> int:
    """The bytes that an executor needs between images and results, without weights and gradients."""
    [megabytes] = re.findall(r"^Total (\d+) MB allocated", executor.debug_str(), re.MULTILINE)
    return int(megabytes) << 20


def _memory_of(context: mx.Context) -> int:
    if context.device_type == "gpu":
        return mx.context.gpu_memory_info(context.device_id)[1]
    return resources.limit().size
