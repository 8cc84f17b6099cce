"""A bar on a terminal that says how far it is; nothing elsewhere."""

import shutil
import time
from typing import TextIO

EVERY = 0.1  # seconds
NARROWEST = 10
MEGABYTE = 10**6


class Bar:
    """Called with (done, total), now and then; `end` leaves the line to what follows."""

    def __init__(self, terminal: TextIO):
        self._terminal = terminal if terminal.isatty() else None
        self._due = 0.0

    def __call__(self, done: int, total: int) -> None:
        if self._terminal and (time.monotonic() > self._due or done >= total):
            said = f" {done / MEGABYTE:,.0f} of {total / MEGABYTE:,.0f} MB"
            width = max(NARROWEST, min(50, shutil.get_terminal_size().columns - len(said) - 1))
            full = round(width * done / total) if total else width
            self._terminal.write(f"\r{'█' * full}{'░' * (width - full)}{said}")
            self._terminal.flush()
            self._due = time.monotonic() + EVERY

    def end(self) -> None:
        if self._terminal and self._due:
            self._terminal.write("\n")
