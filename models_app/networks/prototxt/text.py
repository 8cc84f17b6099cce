"""Parses protocol buffers' text format into messages whose fields have line numbers. Knows nothing of networks.

Source: the Protocol Buffers text format specification. Extension names in brackets are not supported; Caffe has none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from models_app.networks.layer import BadNetwork

# Far above any real network (ResNet-152 has 50,000 tokens in four levels), so that a hostile text is refused soon.
MAX_TOKENS = 200_000
MAX_DEPTH = 100
MAX_NUMBER = 40

BYTE_ORDER_MARK = "\ufeff"  # editors on Windows write it at the start of a file

# No group repeats without a limit, because the regex engine keeps 200 bytes for each repetition to backtrack.
_SPACE = re.compile(r"[ \t\r\n\f\v]*")
_COMMENT = re.compile(r"#[^\n]*")
_TOKEN = re.compile(
    r"""
    (?P<name> [A-Za-z_][A-Za-z0-9_]* )
  | (?P<number> [-+]? (?: 0[xX][0-9a-fA-F]+ | (?: [0-9]+(?:\.[0-9]*)? | \.[0-9]+ ) (?: [eE][-+]?[0-9]+ )? [fF]? )
                (?![A-Za-z0-9_.]) )
  | (?P<string> "[^"\\\n]*(?:\\.[^"\\\n]*){0,1000}" | '[^'\\\n]*(?:\\.[^'\\\n]*){0,1000}' )
  | (?P<sign> [{}<>\[\]:,;] )
    """,
    re.VERBOSE,
)
_CLOSING = {"{": "}", "<": ">"}

_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|(.))")
_ESCAPED = dict(zip(b"abfnrtv\\'\"?", b"\a\b\f\n\r\t\v\\'\"?", strict=True))


class Word(str):
    """An unquoted value: true, false, or the name of an enum value."""


class Field(NamedTuple):
    """One `name: value` of a message, with its line number (from 1) for error messages."""

    name: str
    value: Value
    line: int


@dataclass(frozen=True)
class Message:
    """The fields between two braces, in order; the whole text is a message too."""

    line: int
    fields: list[Field] = field(default_factory=list)

    def all(self, name: str) -> list[Field]:
        return [one for one in self.fields if one.name == name]


Value = str | int | float | Message


def parse(text: str) -> Message:
    """Parse the text. Raises BadNetwork with line and column of the first error."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadNetwork(f"line {text.count(chr(10), 0, error.start) + 1}: half a character stands here") from error
    return _Parser(text.removeprefix(BYTE_ORDER_MARK)).whole()


class _Parser:
    """A recursive descent parser with one token of lookahead."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._end = 0  # of the current token
        self._line = 1
        self._count = 0
        self._advance()

    def whole(self) -> Message:
        message = self._message(Message(1), "", 0)
        if self._kind:
            raise self._wrong("the name of a field")
        return message

    def _message(self, message: Message, closing: str, depth: int) -> Message:
        """Read fields up to the closing token, which stays the current token."""
        while self._kind == "name":
            name, line = self._token, self._line
            self._advance()
            colon = self._accept(":")
            if colon and self._accept("["):
                values = self._list(depth)
            elif colon or self._token in _CLOSING:
                values = [self._value(depth)]
            else:
                raise self._wrong(f": or {{ after {_short(name)}")
            message.fields.extend(Field(name, value, line) for value in values)
            self._accept(",") or self._accept(";")
        if closing and self._token != closing:
            raise self._wrong(f"the name of a field, or the {closing} for line {message.line}")
        return message

    def _list(self, depth: int) -> list[Value]:
        values = []
        while not self._accept("]"):
            values.append(self._value(depth))
            if self._token != "]" and not self._accept(","):  # nosec B105 (what a parser calls a token)
                raise self._wrong(", or ]")
        return values

    def _value(self, depth: int) -> Value:
        kind, token = self._kind, self._token
        if kind == "sign" and token in _CLOSING:
            if depth == MAX_DEPTH:
                raise self._error(f"more than {MAX_DEPTH} braces are open")
            message = Message(self._line)
            self._advance()
            self._message(message, _CLOSING[token], depth + 1)
            self._advance()
            return message
        if kind == "string":
            return self._strings()
        if kind not in ("name", "number"):
            raise self._wrong("a value")
        value = Word(token) if kind == "name" else self._number(token)
        self._advance()
        return value

    def _number(self, token: str) -> int | float:
        if len(token) > MAX_NUMBER:
            raise self._error(f"the number {_short(token)} is too long")
        if token.lower().lstrip("+-").startswith("0x"):
            return int(token, 16)
        digits = token.lstrip("+-")
        if digits.isdigit():
            return int(token, 8) if digits[0] == "0" and set(digits) <= set("01234567") else int(token)
        return float(token.rstrip("fF"))

    def _strings(self) -> str:
        """Read adjacent strings as one string."""
        parts = []
        while self._kind == "string":
            part = self._token[1:-1]
            parts.append(self._unescaped(part) if "\\" in part else part)
            self._advance()
        return "".join(parts)

    def _unescaped(self, part: str) -> str:
        try:
            return _ESCAPE.sub(_character, part.encode()).decode()
        except (KeyError, ValueError) as error:
            raise self._error(f"the string {_short(self._token)} has an escape that is not known") from error

    def _accept(self, sign: str) -> bool:
        """Whether the current token is `sign`; if so, go on to the next token."""
        if self._kind != "sign" or self._token != sign:
            return False
        self._advance()
        return True

    def _advance(self) -> None:
        """Go on to the next token; its kind is "" at the end of the text."""
        start = self._after_space(self._end)
        while comment := _COMMENT.match(self._text, start):
            start = self._after_space(comment.end())
        self._line += self._text.count("\n", self._end, start)
        self._start = start
        found = _TOKEN.match(self._text, start)
        if found is None:
            self._kind = self._token = ""  # nosec B105 (what a parser calls a token)
            if start < len(self._text):
                raise self._wrong("a field or a value")
            return
        self._count += 1
        if self._count > MAX_TOKENS:
            raise self._error(f"the text is too long for a network: it has more than {MAX_TOKENS:,} words and signs")
        self._kind, self._token, self._end = found.lastgroup or "", found.group(), found.end()

    def _after_space(self, start: int) -> int:
        space = _SPACE.match(self._text, start)
        return space.end() if space else start

    def _wrong(self, expected: str) -> BadNetwork:
        here = self._text[self._start : self._start + 40].split("\n")[0]
        found = _short(self._token or here) if here else "the end of the text" if self._start >= len(self._text) else ""
        return self._error(f"expected {expected}, found {found}")

    def _error(self, what: str) -> BadNetwork:
        column = self._start - self._text.rfind("\n", 0, self._start)
        return BadNetwork(f"line {self._line}, column {column}: {what}")


def _character(escape: re.Match[bytes]) -> bytes:
    octal, hexadecimal, letter = escape.groups()
    if letter:
        return bytes([_ESCAPED[letter[0]]])
    return bytes([int(octal, 8) if octal else int(hexadecimal, 16)])


def _short(token: str) -> str:
    return token if len(token) <= 40 else token[:40] + "…"
