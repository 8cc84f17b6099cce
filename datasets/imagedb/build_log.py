"""The log of a build: build.log, and the warnings and counts for the report."""

from __future__ import annotations

import os
import re
from pathlib import Path

from digits_project.common.escaping import escaped

_NAMED = 5
_MAX_WARNINGS = 50
_MAX_REASONS = 20
_OTHER_REASONS = "other reasons, listed in build.log"
_NUMBERS = re.compile(r"\d+")
_SIZE = re.compile(r"\d+x\d+")


class BuildLog:
    """Writes lines to a file one at a time, so that a million broken images need no memory.

    Control characters in file names are escaped. `skipped` counts the files that could not be used, `skipped_reasons`
    counts them by reason (reasons that differ only in numbers count as one), `first_skipped` describes one of them.
    """

    def __init__(self, path: Path):
        self._path = path
        self.warnings: list[str] = []
        self.skipped = 0
        self.skipped_reasons: dict[str, int] = {}
        self.first_skipped: str | None = None
        self._remarks: dict[str, tuple[int, str]] = {}
        self._called: list[tuple[str, str]] = []

    def __enter__(self) -> BuildLog:
        self._file = self._path.open("w", buffering=1, encoding="utf-8", errors="backslashreplace")
        return self

    def __exit__(self, *_) -> None:
        self._file.close()

    def call(self, path: Path, name: str) -> None:
        """From now on show this name instead of a server path."""
        self._called.append((str(path), name))

    def shown(self, text: str) -> str:
        """The text with server paths replaced by the names that users know."""
        for path, name in self._called:
            text = text.replace(path, name)
        return text

    def shown_path(self, path: bytes) -> bytes:
        """The same for a path as the file system encodes it."""
        return os.fsencode(self.shown(os.fsdecode(path))) if self._called else path

    def note(self, text: str) -> None:
        self._file.write(f"{escaped(self.shown(text))}\n")

    def skip(self, path: str | bytes, reason: str) -> None:
        """Log a file that can't be used."""
        line = escaped(self.shown(f"{os.fsdecode(path)}: {reason}"))
        self.skipped += 1
        self._count(reason)
        self.first_skipped = self.first_skipped or line
        self.note(f"skipped {line}")

    def _count(self, reason):
        kind = _NUMBERS.sub("…", reason) if reason.startswith("damaged") else _SIZE.sub("…", reason)
        if kind not in self.skipped_reasons and len(self.skipped_reasons) >= _MAX_REASONS:
            kind = _OTHER_REASONS
        self.skipped_reasons[kind] = self.skipped_reasons.get(kind, 0) + 1

    def skipped_in_words(self) -> str:
        """A sentence with the number of skipped files and the reasons, most frequent first."""
        return skipped_in_words(self.skipped, self.skipped_reasons)

    def remark(self, path: str | bytes, remark: str) -> None:
        """Log a remark about an image that is used."""
        line = escaped(self.shown(os.fsdecode(path)))
        count, first = self._remarks.get(remark, (0, line))
        self._remarks[remark] = (count + 1, first)
        self.note(f"kept {line}: {remark}")

    def sum_up_remarks(self) -> None:
        """Add a warning for each kind of remark."""
        for remark, (count, first) in self._remarks.items():
            self.warn(f"{count} images were kept, such as {first}: {remark}.")

    def warn(self, text: str) -> None:
        """Add a warning to the report; only the first fifty are kept."""
        text = escaped(self.shown(text))
        if len(self.warnings) < _MAX_WARNINGS:
            self.warnings.append(text)
        elif len(self.warnings) == _MAX_WARNINGS:
            self.warnings.append("There are more warnings in build.log.")
        self.note(f"warning: {text}")


def skipped_in_words(skipped: int, reasons: dict[str, int]) -> str:
    """A sentence with the number of skipped files and the reasons, most frequent first."""
    ordered = sorted(reasons.items(), key=lambda item: -item[1])
    reasons_text = "; ".join(f"{count} since {reason}" if len(ordered) > 1 else reason for reason, count in ordered)
    return f"{skipped} {'file was' if skipped == 1 else 'files were'} skipped: {reasons_text}."


def named(names: list[str]) -> str:
    """A list of names for a message: the first few, and the number of the others."""
    shown = ", ".join(names[:_NAMED])
    return shown if len(names) <= _NAMED else f"{shown} and {len(names) - _NAMED} more"
