"""Counters in shared memory: a hash table of fixed size."""

import os
import struct
import time
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from hashlib import blake2b
from math import inf

KEY = struct.Struct("=16sQ")  # digest of the name; number of the process that holds it, 0 for a common counter
NUMBERS = struct.Struct("=dd")  # value; time at which the entry expires (CLOCK_MONOTONIC), 0 for a free entry
ENTRY_SIZE = KEY.size + NUMBERS.size
ENTRIES_A_BUCKET, BUCKETS = 32, 512
SIZE = BUCKETS * ENTRIES_A_BUCKET * ENTRY_SIZE  # bytes
COMMON = 0


class SharedCounters:
    """Counters by name. Each operation is one step for all processes.

    A common counter is one number, which can expire. An amount that a process *holds* counts until the process gives
    it back or dies. If a bucket of the table is full, the entry that expires first makes room. The digests are keyed,
    so nobody can choose names that fill one bucket.
    """

    def __init__(self, memory: memoryview, lock: AbstractContextManager, living: Collection[int]):
        """`living` are the numbers of the living processes, as they are at any time."""
        self._memory, self._lock, self._living = memory, lock, living
        self._secret = os.urandom(16)
        self._bucket = lru_cache(1024)(self._hashed)

    def add(self, name: str, change: float, seconds: float = inf) -> float:
        """Change a common counter, which expires so many seconds after its first change. Returns its value."""
        with self._lock:
            return self._add(name, COMMON, change, seconds)

    def add_all(self, changes: Mapping[str, float]) -> None:
        """Change several common counters that do not expire."""
        with self._lock:
            for name, change in changes.items():
                self._add(name, COMMON, change, inf)

    def values(self, *names: str) -> list[float]:
        """The values of common counters at one moment; 0 for one that does not exist or has expired."""
        with self._lock:
            return [self._read(name, COMMON)[1] for name in names]

    def hold(self, name: str, change: float, process: int) -> float:
        """Change how much this process holds. Returns how much all living processes hold together."""
        with self._lock:
            self._add(name, process, change, inf)
            return sum(self._read(name, number)[1] for number in {*self._living, process} if number)

    def clear(self) -> None:
        with self._lock:
            self._memory[:] = bytes(SIZE)

    def _read(self, name: str, process: int) -> tuple[int, float, float]:
        """(place, value, time of its end) of an entry; the place is -1 if there is none."""
        bucket, key = self._bucket(name, process)
        found = bytes(self._memory[bucket : bucket + ENTRIES_A_BUCKET * ENTRY_SIZE]).find(key)
        if found < 0:
            return -1, 0.0, 0.0
        value, end = NUMBERS.unpack_from(self._memory, bucket + found + KEY.size)
        return bucket + found, value if end > time.monotonic() else 0.0, end

    def _add(self, name: str, process: int, change: float, seconds: float) -> float:
        place, value, end = self._read(name, process)
        now = time.monotonic()
        value = max(0.0, value + change)
        if place < 0:
            bucket, key = self._bucket(name, process)
            place = self._room(bucket)
            self._memory[place : place + KEY.size] = key
        if end <= now:
            end = now + seconds
        NUMBERS.pack_into(self._memory, place + KEY.size, value, end if value else 0.0)
        return value

    def _hashed(self, name: str, process: int) -> tuple[int, bytes]:
        """The place of the name's bucket, and the key of the entry."""
        digest = blake2b(name.encode("utf-8", "surrogatepass"), digest_size=16, key=self._secret).digest()
        return int.from_bytes(digest[:4], "big") % BUCKETS * ENTRIES_A_BUCKET * ENTRY_SIZE, KEY.pack(digest, process)

    def _room(self, bucket: int) -> int:
        """The place of an entry that is free, has expired or belongs to a dead process; else of the first to expire."""

        def end(place: int) -> float:
            _, process = KEY.unpack_from(self._memory, place)
            _, end = NUMBERS.unpack_from(self._memory, place + KEY.size)
            return 0.0 if process and process not in self._living else end

        return min(range(bucket, bucket + ENTRIES_A_BUCKET * ENTRY_SIZE, ENTRY_SIZE), key=end)
