"""Makes visible what nobody sees and what a terminal would obey. Bottom of the import graph: no Django here."""

from __future__ import annotations

import unicodedata

_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format, half a character, line and paragraph separators
_BLANK_LETTERS = "\u034f\u115f\u1160\u2800\u3164\uffa0"  # which Unicode counts as letters, marks or symbols
_JOINERS = "\u200c\u200d"  # without them Persian is misspelt, and a family's emoji falls apart


def is_unseen(text: str, position: int) -> bool:
    """Whether the character there has no shape of its own, such as ESC, a tab or a zero-width space.

    A joiner between two characters beyond ASCII belongs to the spelling.
    """
    letter = text[position]
    if letter in _JOINERS:
        return not (0 < position < len(text) - 1 and text[position - 1] > "\x7f" and text[position + 1] > "\x7f")
    return letter in _BLANK_LETTERS or unicodedata.category(letter) in _UNSEEN


def escaped(text: str, keep: str = "") -> str:
    r"""The text with each unseen character as its escape, such as \x1b; those in `keep` stay."""
    if text.isprintable() and not any(letter in _BLANK_LETTERS for letter in text):
        return text
    return "".join(
        letter.encode("unicode_escape").decode() if letter not in keep and is_unseen(text, position) else letter
        for position, letter in enumerate(text)
    )
