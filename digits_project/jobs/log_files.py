"""Reads parts of log files for pages and messages."""

import os
from pathlib import Path

TAIL_BYTES = 16 << 10


def tail(path: Path, most: int = TAIL_BYTES) -> str:
    """The last lines of a log; "" if it does not exist. Bytes that are not UTF-8 are replaced."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            text = file.read(most).decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    except OSError:
        return ""
    return text if size <= most else text.partition("\n")[2]


def lines_starting_with(path: Path, beginning: str, most: int, most_bytes: int = 8 << 20) -> list[str]:
    """The first `most` lines that start with `beginning`, without it, from the first megabytes of a log."""
    found: list[str] = []
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            for line in file:
                most_bytes -= len(line)
                if line.startswith(beginning):
                    found.append(line.removeprefix(beginning).rstrip("\n"))
                if len(found) == most or most_bytes < 0:
                    break
    except OSError:
        return found
    return found
