"""Checks before a training starts whether it fits into memory; the kernel kills a process that takes too much."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from digits_project.common import resources
from digits_project.common.errors import BadInput
from models_app.training.engines.interface import EngineConfig
from models_app.training.engines.mxnet.compat import mx

REMEDY = "use a smaller batch_size, and batch_accumulation to make up for it"


@contextmanager
def refuse_too_large(config: EngineConfig) -> Iterator[None]:
    """Raise BadInput if MXNet can't allocate memory for the network inside the block."""
    try:
        yield
    except mx.base.MXNetError as error:
        if resources.is_want_of_memory(error):
            raise BadInput(f"{_what(config)} is too large for the memory; {REMEDY}") from error
        raise


def check_fits(config: EngineConfig, executor: mx.executor.Executor, context: mx.Context) -> None:
    """Raise BadInput if the executor's planned memory is more than there is. The kernel assigns memory only on use."""
    needed, there = planned_bytes(executor), _memory_of(context)
    if needed > there:
        need, have = map(resources.gibibytes, (needed, there))
        raise BadInput(f"{_what(config)} needs {need} of memory, and there are {have}; {REMEDY}")


def planned_bytes(executor: mx.executor.Executor) -> int:
    """The bytes that an executor needs between images and results, without weights and gradients."""
    [megabytes] = re.findall(r"^Total (\d+) MB allocated", executor.debug_str(), re.MULTILINE)
    return int(megabytes) << 20


def _memory_of(context: mx.Context) -> int:
    if context.device_type == "gpu":
        return mx.context.gpu_memory_info(context.device_id)[1]
    return resources.limit().size


def _what(config: EngineConfig) -> str:
    return f"training {config.network.name} with a batch size of {config.batch_size}"
