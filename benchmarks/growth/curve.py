"""A curve: the cost of a unit of work at growing sizes, and whether it stays flat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

MAX_GROWTH = 1.2  # of a flat curve: what a unit may cost, relative to its cost at the smallest size

Points = Sequence[tuple[int, float]]  # (size, value), sizes ascending


@dataclass(frozen=True)
class Curve:
    """What a unit costs, or how much memory a process takes, by the number of images, jobs or clients.

    grows: the reason why it may grow; "" if it has to stay flat.
    """

    name: str
    unit: str
    points: Points
    grows: str = ""

    @property
    def relative(self) -> list[tuple[int, float]]:
        """The values divided by that of the smallest size."""
        return [(size, value / self.points[0][1]) for size, value in self.points]

    @property
    def growth(self) -> float:
        """The largest relative value."""
        return max(value for _, value in self.relative)

    @property
    def met(self) -> bool:
        return bool(self.grows) or self.growth <= MAX_GROWTH

    def __str__(self) -> str:
        values = "  ".join(f"{size:,}: {value:.4g}" for size, value in self.points)
        verdict = "" if self.growth <= MAX_GROWTH else f"  grows: {self.grows}" if self.grows else "  NOT FLAT"
        return f"{self.name} ({self.unit})  {values}  ×{self.growth:.2f}{verdict}"


def each_further(totals: Points) -> list[tuple[int, float]]:
    """What each further unit costs, from the total costs of several sizes: at a size, since the size before it."""
    return [(size, (cost - less) / (size - smaller)) for (smaller, less), (size, cost) in pairwise(totals)]
