"""The bar that shows how far a job or an upload has got."""

from __future__ import annotations

import shutil
import sys
import time
from types import TracebackType
from typing import TextIO

WIDTH = 24  # columns of the bar
STEPS = 10  # lines in the course of a job, where no line can be written over
MIN_SECONDS = 0.1  # between two pictures of a bar


class Bar:
    """A bar on standard error that is drawn over itself on a terminal and in a notebook; elsewhere, as in a log, a line
    for each new state and each tenth. `enabled=False` draws nothing."""

    def __init__(self, title: str, *, enabled: bool = True, stream: TextIO | None = None):
        self._title = title
        self._stream = stream or sys.stderr
        self._enabled = enabled
        self._moves = self._stream.isatty() or type(self._stream).__module__.startswith("ipykernel")
        self._filled, self._empty = ("━", "─") if _can_show("━─", self._stream) else ("#", "-")
        self._drawn_at = 0.0
        self._length = 0  # of the line that is drawn over
        self._key: tuple[str, int] | None = None

    def __enter__(self) -> Bar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._enabled and self._length:
            self._stream.write("\n")
            self._stream.flush()
        self._length = 0

    def show(self, state: str, fraction: float, *facts: str, final: bool = False) -> None:
        """Draw the bar: what is going on, how much of it is done (0 to 1), and facts such as the accuracy."""
        if not self._enabled:
            return
        line = "  ".join(part for part in (self._title, state, self._bar(fraction), *facts) if part)
        if self._moves:
            self._draw_over(line, final)
        else:
            self._print_new(line, (state, int(fraction * STEPS)))

    def _bar(self, fraction: float) -> str:
        fraction = min(1.0, max(0.0, fraction))
        full = round(WIDTH * fraction)
        return f"{self._filled * full}{self._empty * (WIDTH - full)} {100 * fraction:3.0f} %"

    def _draw_over(self, line: str, final: bool) -> None:
        now = time.monotonic()
        if now - self._drawn_at < MIN_SECONDS and not final:
            return
        self._drawn_at = now
        line = line[: shutil.get_terminal_size().columns - 1]
        self._stream.write(f"\r{line}{' ' * (self._length - len(line))}")
        self._stream.flush()
        self._length = len(line)

    def _print_new(self, line: str, key: tuple[str, int]) -> None:
        if key != self._key:
            self._key = key
            self._stream.write(f"{line}\n")
            self._stream.flush()


def duration(seconds: float) -> str:
    """Seconds for people: 45 s, 12 min, 3 h 20 min."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def megabytes(count: float) -> str:
    """Bytes for people: 12.3 MB."""
    return f"{count / 1e6:,.1f} MB"


def _can_show(text: str, stream: TextIO) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
