"""Summarises a file by opening it once: its first bytes, a digest to find copies, whether it can have 16 bits."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import blake2b
from typing import NamedTuple

import numpy as np

from datasets.imagedb.images.decoding import can_be_deep
from datasets.imagedb.images.size_limits import MAX_BYTES

TAIL_BYTES = 4096  # of a file; with the size they distinguish nearly all files
DIGEST_BYTES = 16
_BLOCK = 1 << 20
_NO_DIGEST = bytes(DIGEST_BYTES)
_READABLE, _WHOLE, _DEEP = 1, 2, 4


class FileSummary(NamedTuple):
    """The first bytes of a file, and the digest of its size and end, None if it is empty or too large.

    `is_whole`: the digest is that of the whole file.
    """

    head: bytes
    digest: bytes | None
    is_whole: bool


def summary_of(descriptor: int) -> FileSummary:
    """The summary of an opened regular file."""
    size = os.fstat(descriptor).st_size
    head = os.read(descriptor, TAIL_BYTES)
    if not 0 < size <= MAX_BYTES:
        return FileSummary(head, None, False)
    tail = head if size == len(head) else os.pread(descriptor, TAIL_BYTES, max(0, size - TAIL_BYTES))
    return FileSummary(head, blake2b(b"%d %b" % (size, tail), digest_size=DIGEST_BYTES).digest(), size <= TAIL_BYTES)


def whole_digest(descriptor: int, tick: Callable[[], None]) -> bytes | None:
    """The digest of a whole file; None if it is empty or too large."""
    size = os.fstat(descriptor).st_size
    if not 0 < size <= MAX_BYTES:
        return None
    digest = blake2b(b"%d " % size, digest_size=DIGEST_BYTES)
    while block := os.read(descriptor, _BLOCK):
        digest.update(block)
        tick()
    return digest.digest()


class Summaries:
    """The summaries of many files without their heads: 17 bytes each, later one."""

    def __init__(self) -> None:
        self._digests = bytearray()
        self._states = bytearray()

    def add(self, summary: FileSummary | None) -> None:
        """Add the summary of the next file; None if it can't be read."""
        if summary is None or summary.digest is None:
            self._digests += _NO_DIGEST
            self._states.append(_DEEP)  # so that it is looked at once more
        else:
            self._digests += summary.digest
            deep = _DEEP if can_be_deep(summary.head) else 0
            self._states.append(_READABLE | (_WHOLE if summary.is_whole else 0) | deep)

    def take_digests(self) -> np.ndarray:
        """uint64, N×2. The digests are forgotten here, because only the search for copies needs their memory."""
        digests, self._digests = self._digests, bytearray()
        return np.frombuffer(digests, np.uint64).reshape(-1, DIGEST_BYTES // 8)

    def are_readable(self) -> np.ndarray:
        return self._have(_READABLE)

    def are_whole(self) -> np.ndarray:
        return self._have(_WHOLE)

    def can_be_deep(self) -> np.ndarray:
        return self._have(_DEEP)

    def _have(self, state):
        return (np.frombuffer(self._states, np.uint8) & state) > 0
