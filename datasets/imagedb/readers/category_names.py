"""Checks and compares the names of categories."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from digits_project.common.escaping import escaped, is_unseen

_JOINERS_AND_VARIANTS = {0x200C: None, 0x200D: None} | dict.fromkeys((*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)))
_WRITTEN_OTHERWISE = "they differ only in how Unicode encodes their letters"


def fault(name: str) -> str | None:
    """The reason why a category can't have this name, as a clause after "it"; None if it can.

    A name is one line of labels.txt, valid UTF-8, without invisible characters.
    """
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        return "is not UTF-8"
    if len(name.splitlines()) != 1:
        return "must be one line" if name else "is empty"
    for position, letter in enumerate(name):
        if is_unseen(name, position):
            called = "a tab" if letter == "\t" else unicodedata.name(letter, "a control character")
            return f"has an invisible character, U+{ord(letter):04X} ({called})"
    if name != name.strip():
        return "begins or ends with a blank"
    return None


def comparable(name: str) -> str:
    """The form in which names are compared: composed (NFC) and without variation selectors.

    macOS writes é as two characters, Linux as one.
    """
    return unicodedata.normalize("NFC", name.translate(_JOINERS_AND_VARIANTS))


def grouped(names: Iterable[str]) -> list[list[str]]:
    """The names, sorted and grouped by equality; the first name of each group is shown."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(comparable(name), []).append(name)
    for key, group in groups.items():
        group.sort(key=lambda name: (name != key, name))
    return sorted(groups.values(), key=lambda group: group[0])


def different_spellings(names: Sequence[str]) -> str:
    """The part of a message about equal names that says how their spellings differ."""
    return f"{_WRITTEN_OTHERWISE} ({', '.join(map(ascii, names))})"


def usable(names: Sequence[str]) -> list[str]:
    """The names, made valid: invisible characters escaped, blanks stripped, duplicates numbered."""
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
