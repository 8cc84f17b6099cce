"""Whether a training fits into memory: told before it begins, as a process that takes too much is killed unheard."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from digits_project.errors import BadInput
from models_app.training.engines.base import Setup
from models_app.training.engines.mxnet_compat import mx

CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))

REMEDY = "take a smaller batch_size, and batch_accumulation to make up for it"

# How MXNet says that it gets no memory, from the host or a GPU, or that an array has more numbers than it can count.
_NO_MEMORY = re.compile(r"out of memory|allocate|larger than 2\^31", re.IGNORECASE)


@contextmanager
def too_large_is_told(setup: Setup) -> Iterator[None]:
    """Raises BadInput where MXNet gets no memory for the network."""
    try:
        yield
    except mx.base.MXNetError as error:
        if _NO_MEMORY.search(str(error)):
            raise BadInput(f"{_what(setup)} is too large for the memory; {REMEDY}") from error
        raise


def check_fits(setup: Setup, executor: mx.executor.Executor, context: mx.Context) -> None:
    """Raises BadInput if what the executor has planned is more than there is. Memory is only taken when it is used."""
    needed, there = planned_bytes(executor), _memory_of(context)
    if needed > there:
        needed, there = (f"{size / 2**30:.1f} GiB" for size in (needed, there))
        raise BadInput(f"{_what(setup)} needs {needed} of memory, and there are {there}; {REMEDY}")


def planned_bytes(executor: mx.executor.Executor) -> int:
    """What an executor needs for everything between images and results, without weights and gradients."""
    [megabytes] = re.findall(r"^Total (\d+) MB allocated", executor.debug_str(), re.MULTILINE)
    return int(megabytes) << 20


def _memory_of(context: mx.Context) -> int:
    if context.device_type == "gpu":
        return mx.context.gpu_memory_info(context.device_id)[1]
    sizes = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for path in CGROUP_LIMITS:
        if path.is_file() and (limit := path.read_text().strip()) != "max":
            sizes.append(int(limit))
    return min(sizes)


def _what(setup: Setup) -> str:
    return f"training {setup.network.name} with a batch size of {setup.batch_size}"
