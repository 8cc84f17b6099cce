"""Which names a category can have, and which names are one and the same."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from digits_project.common.escaping import escaped, is_unseen

_JOINERS_AND_VARIANTS = {0x200C: None, 0x200D: None} | dict.fromkeys((*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
_WRITTEN_OTHERWISE = "they differ only in how Unicode writes their letters"


def fault(name: str) -> str | None:
    """Why the name can't name a category, to follow "it"; None if it can.

    A name is a line of labels.txt, of UTF-8, and what people see of it is all of it.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        return "is not UTF-8"
    if len(name.splitlines()) != 1:
        return "must be one line" if name else "is empty"
    for position, letter in enumerate(name):
        if is_unseen(name, position):
            called = "a tab" if letter == "\t" else unicodedata.name(letter, "a control character")
            return f"has a character that nobody sees, U+{ord(letter):04X} ({called})"
    if name != name.strip():
        return "begins or ends with a blank"
    return None


def comparable(name: str) -> str:
    """What equal names have in common: the composed form (NFC), without the marks that only change a shape.

    A Mac writes é as two characters, Linux as one.
    """
    return unicodedata.normalize("NFC", name.translate(_JOINERS_AND_VARIANTS))


def grouped(names: Iterable[str]) -> list[list[str]]:
    """The names, sorted, those that are equal together; the first of each group is the one to show."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(comparable(name), []).append(name)
    for key, group in groups.items():
        group.sort(key=lambda name: (name != key, name))
    return sorted(groups.values(), key=lambda group: group[0])


def different_spellings(names: Sequence[str]) -> str:
    """For a message about equal names: that they differ only in their spelling, and how each is spelt."""
    return f"{_WRITTEN_OTHERWISE} ({', '.join(map(ascii, names))})"


def usable(names: Sequence[str]) -> list[str]:
    """The names, changed where they could not stay: escaped and stripped, and numbered where one has come before."""
    if len(set(map(comparable, names))) == len(names) and all(map(str.isprintable, names)):
        return list(names)
    taken: set[str] = set()
    found = []
    for name in names:
        wanted = candidate = escaped(name).strip() or "unnamed"
        number = 1
        while comparable(candidate) in taken:
            number += 1
            candidate = f"{wanted} ({number})"
        taken.add(comparable(candidate))
        found.append(candidate)
    return found
