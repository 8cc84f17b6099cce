"""The messages about a training that does not fit into the memory, which every engine raises."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from digits_project.common import resources
from digits_project.common.errors import BadInput
from models_app.training.engines.interface import EngineConfig

REMEDY = "use a smaller batch_size, and batch_accumulation to make up for it"


@contextmanager
def refuse_too_large(config: EngineConfig, library_error: type[Exception]) -> Iterator[None]:
    """Raise BadInput if the engine's library can't allocate memory for the network inside the block.

    library_error: what the library raises then, for this reason and for others.
    """
    try:
        yield
    except library_error as error:
        if resources.is_want_of_memory(error):
            raise BadInput(f"{_what(config)} is too large for the memory; {REMEDY}") from error
        raise


def check_room(config: EngineConfig, needed: int, there: int) -> None:
    """Raise BadInput if a training needs more bytes than there are. The kernel assigns memory only on use."""
    if needed > there:
        need, have = map(resources.gibibytes, (needed, there))
        raise BadInput(f"{_what(config)} needs {need} of memory, and there are {have}; {REMEDY}")


def _what(config: EngineConfig) -> str:
    return f"training {config.network.name} with a batch size of {config.batch_size}"
