"""Several models side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from digits_client.resources.evaluations import Evaluation

if TYPE_CHECKING:
    from digits_client.resources.models import Model


@dataclass(frozen=True)
class Comparison:
    """Several models side by side. `differences` has the settings that are not the same for all: {field: (value of each
    model, …)}."""

    models: tuple[Model, ...]
    accuracies: tuple[float | None, ...]
    evaluations: tuple[Evaluation | None, ...]
    differences: dict[str, tuple[Any, ...]]

    def __str__(self) -> str:
        """A table for people."""
        rows = [("", *(model.name for model in self.models)), ("accuracy", *map(_percent, self.accuracies))]
        rows += [(name, *map(str, values)) for name, values in self.differences.items()]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
        )


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f} %"
