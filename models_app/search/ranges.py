"""The values among which a search chooses, as users write them: `0.0001..0.1 log`, `16..128`, or a list, `0.9,0.95`;
and trials, which have one value of each."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from digits_project.common.errors import BadInput

MAX_CHOICES = 100  # of a list
MAX_TEXT = 100  # characters of a range
MIN_DONE = 5  # trials that are Done before results count
DIGITS = 4  # significant digits of a number from a range
RANGE = re.compile(r"(?P<low>\S+?)\s*\.\.\s*(?P<high>\S+?)(?:\s+(?P<word>\S+))?")
EXAMPLE = "such as 0.0001..0.1 log"


@dataclass(frozen=True)
class Dimension:
    """The values of one hyperparameter: those from `low` to `high`, or the `choices`.

    log: whether the logarithm is spread evenly, so that 0.001 to 0.01 is as likely as 0.01 to 0.1.
    whole: only whole numbers.
    """

    low: float = 0
    high: float = 0
    log: bool = False
    whole: bool = False
    choices: tuple[float, ...] = ()

    @classmethod
    def from_dict(cls, stored: dict[str, Any]) -> Dimension:
        return cls(**stored | {"choices": tuple(stored["choices"])})

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def ends(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        return (min(self.choices), max(self.choices)) if self.choices else (self.low, self.high)

    def rounded(self, value: float) -> float:
        """A value of the range with few digits, for names and tables."""
        if self.choices or self.whole:
            return value
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def at(self, share: float) -> float:
        """The value at a place from 0, the lowest, to 1, the highest; of a list, by the order of its values."""
        if self.choices:
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        value = self.low * (self.high / self.low) ** share if self.log else self.low + share * (self.high - self.low)
        return round(value) if self.whole else self.rounded(value)

    def __str__(self) -> str:
        if self.choices:
            return ",".join(f"{value:g}" for value in self.choices)
        return f"{self.low:g}..{self.high:g}{' log' if self.log else ''}"


@dataclass(frozen=True)
class Trial:
    """A training with values that a search chose, as far as the next trials depend on it.

    value: the best validation of a trial that is Done, the higher the better; None for any other.
    curve: {number of the validation: its value}.
    """

    values: dict[str, float]
    is_open: bool = False
    value: float | None = None
    curve: dict[int, float] = field(default_factory=dict)


def is_range(value: object) -> bool:
    return isinstance(value, str) and ".." in value


def is_list(value: object) -> bool:
    return isinstance(value, list) or (isinstance(value, str) and "," in value)


def read_range(text: str, read_one: Callable[[str], float], whole: bool) -> Dimension:
    """The dimension that a range describes. `read_one` reads and checks one of its ends. Raises BadInput."""
    found = RANGE.fullmatch(text.strip()) if len(text) <= MAX_TEXT else None
    if not found:
        raise BadInput(f"{text[:40]!r} is not a range: write the lowest and the highest value, {EXAMPLE}.")
    if found["word"] not in (None, "log"):
        raise BadInput(f"{found['word'][:40]!r} after the range is unknown; only log can stand there, {EXAMPLE}.")
    low, high, is_log = read_one(found["low"]), read_one(found["high"]), found["word"] == "log"
    if low >= high:
        raise BadInput(f"The range {text.strip()} must begin with its lowest value, and end with a higher one.")
    if is_log and low <= 0:
        raise BadInput(f"The range {text.strip()} must begin above 0, because it is logarithmic (log).")
    return Dimension(low, high, is_log, whole)


def read_choices(value: str | list, read_one: Callable[[Any], float]) -> Dimension:
    """The dimension that a list describes. Raises BadInput."""
    parts = value.strip().removeprefix("[").removesuffix("]").split(",") if isinstance(value, str) else value
    if len(parts) > MAX_CHOICES:
        raise BadInput(f"These are more than {MAX_CHOICES} values.")
    read = [read_one(part.strip() if isinstance(part, str) else part) for part in parts]
    if not read:
        raise BadInput("The list has no value.")
    return Dimension(choices=tuple(dict.fromkeys(read)))
