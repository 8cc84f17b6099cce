"""Streams for what a program prints: a terminal, and a pipe."""

import io
import re

CONTROL = re.compile(r"\033\[(?P<number>\??\d*)(?P<code>[a-zA-Z])|(?P<letter>.)", re.DOTALL)


class Pipe(io.StringIO):
    encoding = "ascii"


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self):
        return True

    def lines(self):
        """The lines on its screen."""
        return lines_shown(self.getvalue())[0]


def lines_shown(written):
    """(the lines that a terminal shows after these characters, whether its cursor is visible)."""
    lines, row, column, visible = [""], 0, 0, True
    for found in CONTROL.finditer(written):
        match found["code"], found["number"], found["letter"]:
            case "A", number, _:
                row -= int(number or 1)
            case "K", _, _:
                lines[row] = ""
            case ("l" | "h") as code, "?25", _:
                visible = code == "h"
            case None, _, "\r":
                column = 0
            case None, _, "\n":
                row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
            case None, _, letter:
                lines[row] = lines[row].ljust(column)[:column] + letter + lines[row][column + 1 :]
                column += 1
    return lines, visible
