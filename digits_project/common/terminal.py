"""Draws, with rich, the output of the demo and of the commands: headings, a bar that moves on a terminal, tables, and a
small picture. Texts are data: neither rich's markup nor control characters in a name have an effect."""

import atexit
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TextIO

from PIL import Image
from rich.console import Console
from rich.live import Live
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from digits_project.common.escaping import escaped

INDENT = 2
BAR_COLUMNS = 30
SHORT_BAR_COLUMNS = 10  # beside details, so that both fit on a line of 80 columns
PICTURE_ROWS = 10
NO_LIMIT = 10_000  # columns of a table: the terminal breaks a line that is too long, so that no name is cut off
UPDATE_SECONDS = 0.1  # shortest time between two updates of a bar that counts bytes
MEGABYTE = 10**6
SHADES, ASCII_SHADES = " ░▒▓█", " .:*#"


class Screen:
    """Writes to a terminal, or plain lines without control codes to anything else. Honours NO_COLOR."""

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ):
        self.live = stream.isatty() and environ.get("TERM") not in ("dumb", None)
        coloured = self.live and not environ.get("NO_COLOR")
        look: dict[str, Any] = {
            "force_terminal": self.live,
            "color_system": "standard" if coloured else None,
            "no_color": not coloured,
            **dict.fromkeys(("highlight", "markup", "emoji"), False),
        }
        self._console = _Console(file=stream, **look)  # as wide as the terminal: draws the bar
        self._lines = _Console(file=stream, width=NO_LIMIT, **look)
        self._stream = stream
        self._display: Live | None = None
        self._status = ""

    def line(self, text: str = "", style: str = "") -> None:
        """Print the text, indented; it can have several lines."""
        for part in text.split("\n"):
            self._print(Text.assemble(" " * INDENT, (escaped(part), style)))

    def heading(self, text: str) -> None:
        self._status = ""
        self._print(Text())
        self._print(Text(escaped(text), "bold"))

    def command(self, text: str) -> None:
        """Print a line for a shell; its output, or a summary of it, follows."""
        first, *others = text.split("\n")
        self._print(Text.assemble(" " * INDENT, "$ ", (escaped(first), "cyan")))
        for other in others:
            self.line(other, "cyan")

    def progress(self, status: str, fraction: float, began: float, details: str = "") -> None:
        """Show the progress of a job that began at time.monotonic() `began`, on a terminal as a bar with the details,
        which can change every time; elsewhere as a line for each new status."""
        if self.live:
            seconds = f"{time.monotonic() - began:.0f} s"
            bar = self.bar(fraction, SHORT_BAR_COLUMNS if details else BAR_COLUMNS)
            self._show(f"{status:<7}", bar, f"{100 * fraction:3.0f} %", seconds, *filter(None, [details]))
        elif status != self._status:
            self.line(f"{status}, {details}" if details else status)
        self._status = status

    def download(self, name: str) -> Callable[[int, int | None], None]:
        """A function of (bytes here, bytes in total) that shows the progress of a download that begins now, on a
        terminal only; the total can be unknown (None)."""
        began = time.monotonic()

        def report(here: int, total: int | None) -> None:
            if self.live:
                self.progress(name, here / total if total else 0.0, began)

        return report

    def passing(self, text: str) -> None:
        """Show a line that the next one replaces; nothing if the stream is no terminal."""
        if self.live:
            self._show(text)

    def megabytes(self) -> Callable[[int, int], None]:
        """A function of (done, total), in bytes, that shows a bar on a terminal, ten times a second at most."""
        due = 0.0

        def report(done: int, total: int) -> None:
            nonlocal due
            now = time.monotonic()
            if self.live and (now >= due or done >= total):
                due = now + UPDATE_SECONDS
                bar = self.bar(done / total if total else 1.0)
                self._show(bar, f"{done / MEGABYTE:,.0f} of {total / MEGABYTE:,.0f} MB")

        return report

    def bar(self, fraction: float, columns: int = BAR_COLUMNS) -> ProgressBar:
        return ProgressBar(1.0, fraction, columns, style="bright_black", complete_style="cyan", finished_style="green")

    def picture(self, image: Image.Image) -> str:
        """A grayscale image as lines of characters, two for each pixel, as bright as the pixel."""
        small = image.convert("L").resize((PICTURE_ROWS, PICTURE_ROWS), Image.Resampling.BOX)
        shades = ASCII_SHADES if self._console.options.ascii_only else SHADES
        pixels = [shades[value * len(shades) // 256] * 2 for value in small.tobytes()]
        return "\n".join("".join(pixels[row : row + PICTURE_ROWS]) for row in range(0, len(pixels), PICTURE_ROWS))

    def side_by_side(self, left: str, right: str) -> None:
        """Print two blocks of lines; the right one stands halfway down the left one."""
        grid = Table.grid(padding=(0, 4, 0, 0))
        grid.add_column()
        grid.add_column(vertical="middle")
        grid.add_row(left, right)
        self._print(_indented(grid))

    def row(self, cells: Sequence[str | ProgressBar], widths: Sequence[int]) -> None:
        """Print one row of a table whose later rows aren't known yet. Texts are right-aligned."""
        grid = Table.grid()
        for width in widths:
            grid.add_column(width=width, justify="right")
        grid.add_row(*map(_cell, cells))
        self._print(_indented(grid))

    def table(self, rows: Iterable[Sequence[str]], header: Sequence[str] = ()) -> None:
        """Print rows in columns that are as wide as their longest text, without an indent."""
        grid = Table.grid(padding=(0, 2, 0, 0))
        if header:
            grid.add_row(*(Text(name, "bold") for name in header))
        for row in rows:
            grid.add_row(*map(_cell, row))
        self._print(grid)

    def clear_bar(self) -> None:
        """Remove the bar, and show the cursor again. Called before something else writes to the terminal."""
        if self._display is not None:
            self._display.stop()
            self._display = None
            atexit.unregister(self.clear_bar)

    def _show(self, *cells: str | ProgressBar) -> None:
        """Draw the cells in the place of those that were drawn last."""
        if self._display is None:
            # What other programs write stays theirs: rich would take sys.stdout and sys.stderr.
            quiet: dict[str, Any] = {"auto_refresh": False, "redirect_stdout": False, "redirect_stderr": False}
            self._display = Live(console=self._console, transient=True, **quiet)
            self._display.start()
            atexit.register(self.clear_bar)  # a bar hides the cursor
        grid = Table.grid(padding=(0, 1, 0, 0))
        for _ in cells:
            grid.add_column(no_wrap=True)  # an entry that is too wide for the terminal ends in …
        grid.add_row(*map(_cell, cells))
        self._display.update(_indented(grid), refresh=True)

    def _print(self, what: Text | Padding | Table) -> None:
        """Print it without blanks at the ends of lines."""
        self.clear_bar()
        with self._lines.capture() as captured:
            self._lines.print(what, soft_wrap=isinstance(what, Text))
        lines = (line.rstrip(" ") for line in captured.get().splitlines())
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()


class _Console(Console):
    """rich's console, but a closed pipe raises BrokenPipeError to the caller; rich would exit."""

    def on_broken_pipe(self) -> None:
        raise  # the BrokenPipeError for which rich calls this


def _cell(value: str | ProgressBar) -> Text | ProgressBar:
    return Text(escaped(value)) if isinstance(value, str) else value


def _indented(grid: Table) -> Padding:
    return Padding(grid, (0, 0, 0, INDENT), expand=False)
