"""What the demo and the commands print: headings, a bar that moves on a terminal, tables, and a small picture."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from PIL import Image

BAR_COLUMNS = 30
PICTURE_ROWS = 10
EVERY = 0.1  # seconds, at the most so often, of what is told for each piece of a file
MEGABYTE = 10**6
UNICODE = {"full": "█", "empty": "░", "shades": " ░▒▓█"}
ASCII = {"full": "#", "empty": ".", "shades": " .:*#"}


class Screen:
    """Writes to a terminal, or plain lines without control codes to anything else. Honours NO_COLOR."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ):
        self.stream = stream
        self.live = stream.isatty() and environ.get("TERM") not in ("dumb", None)
        self.coloured = self.live and not environ.get("NO_COLOR")
        self.marks = UNICODE if _can_write(stream, UNICODE["full"]) else ASCII
        self._barred = False
        self._status = ""

    def line(self, text: str = "") -> None:
        self.clear_bar()
        for part in text.split("\n"):
            self._write(f"  {part}\n" if part else "\n")

    def heading(self, text: str) -> None:
        self.clear_bar()
        self._status = ""
        self._write(f"\n{self._styled('1', text)}\n")

    def command(self, text: str) -> None:
        """A line to type into a shell; what it prints follows, or what became of it."""
        first, *others = text.split("\n")
        self.line("\n".join([f"$ {self._styled('36', first)}", *(self._styled("36", line) for line in others)]))

    def progress(self, status: str, fraction: float, began: float) -> None:
        """Where a job is that began at time.monotonic() `began`: a bar, or a line for each new status."""
        if self.live:
            seconds = f"{time.monotonic() - began:.0f} s"
            bar = self.bar(fraction)
            self._write(f"\r\033[K  {status:<8} {bar} {100 * fraction:3.0f} %  {seconds}")
            self._barred = True
        elif status != self._status:
            self.line(status)
        self._status = status

    def passing(self, text: str) -> None:
        """On a terminal a line that the next one takes the place of; nothing elsewhere."""
        if self.live:
            self._write(f"\r\033[K  {text}")
            self._barred = True

    def megabytes(self) -> Callable[[int, int], None]:
        """Takes (done, total), in bytes, for each piece that is done; on a terminal the bar shows it."""
        due = 0.0

        def report(done: int, total: int) -> None:
            nonlocal due
            now = time.monotonic()
            if now >= due or done >= total:
                due = now + EVERY
                bar = self.bar(done / total if total else 1.0)
                self.passing(f"{bar} {done / MEGABYTE:,.0f} of {total / MEGABYTE:,.0f} MB")

        return report

    def bar(self, fraction: float, columns: int = BAR_COLUMNS) -> str:
        done = round(columns * min(max(fraction, 0.0), 1.0))
        return self.marks["full"] * done + self.marks["empty"] * (columns - done)

    def picture(self, image: Image.Image) -> list[str]:
        """A grayscale image in lines of characters, two to a pixel, as bright as it is."""
        small = image.convert("L").resize((PICTURE_ROWS, PICTURE_ROWS), Image.Resampling.BOX)
        shades = self.marks["shades"]
        pixels = [shades[value * len(shades) // 256] * 2 for value in small.tobytes()]
        return ["".join(pixels[row : row + PICTURE_ROWS]) for row in range(0, len(pixels), PICTURE_ROWS)]

    def side_by_side(self, left: Sequence[str], right: Sequence[str]) -> None:
        """Two blocks of lines, the right one in the middle of the left one's height."""
        above = (len(left) - len(right)) // 2
        beside = [""] * above + [*right] + [""] * (len(left) - above - len(right))
        for one, other in zip(left, beside, strict=True):
            self.line(f"{one}    {other}".rstrip())

    def clear_bar(self) -> None:
        """Before somebody else writes to the terminal."""
        if self._barred:
            self._write("\r\033[K")
            self._barred = False

    def _styled(self, code: str, text: str) -> str:
        return f"\033[{code}m{text}\033[0m" if self.coloured else text

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


def _can_write(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
