"""The training ran away: told by a loss, or by weights, that are no numbers."""

from __future__ import annotations

from digits_project.errors import BadInput


class Diverged(BadInput):
    """The user can mend it."""

    def __init__(self, what: str, epoch: float, learning_rate: float) -> None:
        super().__init__(
            f"{what} at epoch {epoch:g}: the training has diverged. "
            f"Try decreasing your learning rate (it is {learning_rate:g})."
        )
