"""Summarises files, each by opening it once: a digest to find copies, and whether it can have 16 bits per channel."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b

import numpy as np

from datasets.imagedb.images.decoding import can_be_deep
from datasets.imagedb.images.size_limits import MAX_BYTES

_TAIL_BYTES = 4096  # of a file; with the size they distinguish nearly all files
_DIGEST_BYTES = 16
_BLOCK = 1 << 20
_READABLE, _WHOLE, _DEEP = 1, 2, 4
_UNKNOWN = bytes(_DIGEST_BYTES) + bytes([_DEEP])  # so that the file is looked at once more


def summary_of(descriptor: int) -> tuple[bytes, bytes]:
    """The first bytes of an opened regular file, and its summary: a digest of its size and end, and a byte of flags."""
    size = os.fstat(descriptor).st_size
    head = os.read(descriptor, _TAIL_BYTES)
    if not 0 < size <= MAX_BYTES:
        return head, _UNKNOWN
    tail = head if size == len(head) else os.pread(descriptor, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    flags = _READABLE | (_WHOLE if size <= _TAIL_BYTES else 0) | (_DEEP if can_be_deep(head) else 0)
    return head, blake2b(b"%d %b" % (size, tail), digest_size=_DIGEST_BYTES).digest() + bytes([flags])


def whole_digest(descriptor: int, tick: Callable[[], None]) -> bytes | None:
    """The digest of a whole file; None if it is empty or too large."""
    size = os.fstat(descriptor).st_size
    if not 0 < size <= MAX_BYTES:
        return None
    digest = blake2b(b"%d " % size, digest_size=_DIGEST_BYTES)
    while block := os.read(descriptor, _BLOCK):
        digest.update(block)
        tick()
    return digest.digest()


class Summaries:
    """The summaries of many files: 17 bytes each, later one."""

    def __init__(self) -> None:
        self._digests, self._flags = bytearray(), bytearray()

    def add(self, summary: bytes | None) -> None:
        """Add the summary of the next file; None if it can't be read."""
        summary = summary or _UNKNOWN
        self._digests += summary[:_DIGEST_BYTES]
        self._flags += summary[_DIGEST_BYTES:]

    def take_digests(self) -> np.ndarray:
        """uint64, N×2. The digests are forgotten here, because only the search for copies needs their memory."""
        taken, self._digests = self._digests, bytearray()
        return np.frombuffer(taken, np.uint64).reshape(-1, _DIGEST_BYTES // 8)

    def are_readable(self) -> np.ndarray:
        return (self._all_flags() & _READABLE) > 0

    def are_whole(self) -> np.ndarray:
        """Whether the digest of each file is that of the whole file."""
        return (self._all_flags() & _WHOLE) > 0

    def can_be_deep(self) -> np.ndarray:
        return (self._all_flags() & _DEEP) > 0

    def _all_flags(self):
        return np.frombuffer(self._flags, np.uint8)
