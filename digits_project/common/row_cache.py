"""Caches values read from the database until PostgreSQL reports a change of the rows that they depend on.

Triggers (the migrations `row_changes`) send a notification for every such change, by any process; a thread
listens for them on a connection of its own and then drops all values. Values are used only while that connection is
known to work, so that a lost connection can't keep an old value for longer than TRUST_SECONDS. The web processes of a
host report their own changes to each other in shared memory, which no notification can be late for.
"""

from __future__ import annotations

import contextlib
import logging
import select
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import psycopg2

from digits_project.common.shared_memory.web_processes import shared

log = logging.getLogger(__name__)

CHANNEL = "digits_rows"
CHECK_SECONDS = 1.0  # between two checks that the connection works
TRUST_SECONDS = 3.0  # after such a check; then values are read from the database until the next check succeeds
IDLE_SECONDS = 60.0  # without a use, after which the connection is closed
RETRY_SECONDS = 1.0  # between two attempts to connect
MAX_VALUES = 2000

T = TypeVar("T")


class RowCache:
    """The values of a process. Threads can share it; the values are shared too, so nobody may change them.

    `connect` opens a psycopg2 connection. `in_transaction` says whether the calling thread is in a transaction, which
    has to read the rows that it has perhaps changed itself.
    """

    def __init__(self, connect: Callable[[], Any], in_transaction: Callable[[], bool]):
        self._connect, self._in_transaction = connect, in_transaction
        self._values: dict[Hashable, Any] = {}
        self._changes = b""  # WebProcesses.row_changes() when the values were last dropped
        self._trusted_until = 0.0
        self._used_at = 0.0
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()  # for starting and ending the thread
        self._closing = threading.Event()

    def get(self, key: Hashable, read: Callable[[], T]) -> T:
        """The value of this key, from `read` if it is not cached. None is not cached; exceptions of `read` pass."""
        if self._in_transaction():
            return read()
        self._used_at = time.monotonic()
        if self._used_at > self._trusted_until:
            self._start()
            return read()
        if (changes := shared().row_changes()) != self._changes:
            self.clear()
            self._changes = changes  # after clear(), so that no thread uses the old values
        values = self._values  # clear() puts another dict in its place, so what was read before a change is not kept
        if key in values:
            return values[key]
        value = read()
        if len(values) >= MAX_VALUES:
            self.clear()
        elif value is not None:
            values[key] = value
        return value

    def clear(self) -> None:
        """Drop all values."""
        self._values = {}

    def close(self) -> None:
        """End the thread, and with it the connection."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None and not self._closing.is_set():
                self._thread = threading.Thread(target=self._follow, name="row-cache", daemon=True)
                self._thread.start()

    def _follow(self) -> None:
        """Listen as long as values are used."""
        while self._is_needed():
            try:
                with contextlib.closing(self._connect()) as connection:
                    self._listen(connection)
            except (psycopg2.Error, OSError) as failure:
                if self._trusted_until:  # once, not with every attempt
                    log.warning("Every request reads its rows until PostgreSQL can be listened to again: %s", failure)
                self._trusted_until = 0.0
                self._closing.wait(RETRY_SECONDS)
        self._trusted_until = 0.0
        with self._lock:
            self._thread = None

    def _listen(self, connection) -> None:
        connection.autocommit = True
        poller = select.poll()
        poller.register(connection.fileno(), select.POLLIN)
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
            self.clear()
            while self._is_needed():
                began = time.monotonic()
                cursor.execute("SELECT 1")  # a response means that all notifications sent before `began` are here
                self._drop_changed(connection)
                self._trusted_until = began + TRUST_SECONDS
                if poller.poll(1000 * CHECK_SECONDS):
                    connection.poll()
                    self._drop_changed(connection)

    def _drop_changed(self, connection) -> None:
        if connection.notifies:
            connection.notifies.clear()
            self.clear()

    def _is_needed(self) -> bool:
        return not self._closing.is_set() and time.monotonic() - self._used_at < IDLE_SECONDS


_followed: list[RowCache] = []  # the cache of this process, if it has one


def follow(connect: Callable[[], Any], in_transaction: Callable[[], bool], kind: type[RowCache] = RowCache) -> RowCache:
    """Let cached() keep values in this process. Other processes read every value from the database."""
    cache = kind(connect, in_transaction)
    _followed[:] = [cache]
    return cache


def unfollow() -> None:
    """Keep no values in this process from now on."""
    while _followed:
        _followed.pop().close()


def cached(key: Hashable, read: Callable[[], T]) -> T:
    """RowCache.get of this process; without a cache what `read` returns."""
    return _followed[0].get(key, read) if _followed else read()


def clear() -> None:
    """Drop all values of the web processes of this host: this process has changed rows itself."""
    if _followed:
        shared().rows_changed()
