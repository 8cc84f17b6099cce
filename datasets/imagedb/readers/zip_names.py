"""Decodes the names in a zip: some tools write backslashes, and encodings that the zip does not declare."""

from __future__ import annotations

import re
from collections.abc import Iterable
from zipfile import ZipInfo

_IS_UTF8 = 1 << 11  # the flag for UTF-8 names
_DOS, _NTFS, _VFAT = 0, 10, 14  # systems whose tools can write backslashes
_PAIR = rb"[\x81-\xfe][\x40-\x7e\x80-\xfe]"
_GBK = re.compile(rb"(?:[\x00-\x7f]|%s)*" % _PAIR)
# The usual characters of GBK and of Korean. In the zip's default encoding, code page 437, their first bytes are box
# lines and Greek letters, which do not occur in names.
_USUAL = re.compile(rb"[\xa1-\xa9\xb0-\xf7][\xa1-\xfe]")
_HANGUL = re.compile(rb"[\xb0-\xc8][\xa1-\xfe]")
_MIN_HANGUL = 8  # different ones; Chinese names hardly ever consist of these alone
_SHIFT_JIS = re.compile(rb"(?:[\x00-\x7f\xa6-\xdf]|[\x81-\x9f\xe0-\xea][\x40-\x7e\x80-\xfc])*")
_KANA = re.compile(rb"\x82[\x9f-\xf1]|\x83[\x80-\x96]")  # with an ASCII letter as second byte it can be French


def alphabet(entries: Iterable[ZipInfo]) -> str:
    """The encoding of all names that are not marked as UTF-8; one computer wrote them, so it is the same for all."""
    names = b"/".join(_bytes(entry) for entry in entries if not is_marked(entry))
    if names.isascii():
        return "cp437"
    if _decodes(names, "utf-8"):  # tools on Linux and macOS don't set the flag
        return "utf-8"
    if _GBK.fullmatch(names) and _decodes(names, "gb18030"):
        pairs = set(re.findall(_PAIR, names))
        usual = [pair for pair in pairs if _USUAL.fullmatch(pair)]
        if len(pairs) >= _MIN_HANGUL and all(map(_HANGUL.fullmatch, pairs)):
            return "cp949"
        if 2 * len(usual) > len(pairs):
            return "gb18030"
    if _SHIFT_JIS.fullmatch(names) and _KANA.search(names) and _decodes(names, "cp932"):
        return "cp932"
    return "cp437"


def is_marked(entry: ZipInfo) -> bool:
    """Whether the entry's name is marked as UTF-8."""
    return bool(entry.flag_bits & _IS_UTF8)


def name_of(entry: ZipInfo, encoding: str) -> str:
    """The entry's name with / between folders."""
    name = entry.orig_filename  # the complete name; `filename` ends at a zero byte
    if not is_marked(entry):
        name = _bytes(entry).decode(encoding, "surrogateescape")
    if entry.create_system in (_DOS, _NTFS, _VFAT) and "/" not in name:
        name = name.replace("\\", "/")  # Compress-Archive of PowerShell 5
    return name


def _bytes(entry):
    """The bytes of the name in the archive."""
    return entry.orig_filename.encode("cp437", "surrogateescape")


def _decodes(data, encoding):
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
