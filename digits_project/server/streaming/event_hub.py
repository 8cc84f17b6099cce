"""Sends the events of jobs to all clients of a web process that watch them: one thread, one reader of Redis.

No client costs a query for an event: the thread reads each event once, encodes it once, and sends it without waiting
for any client. A client that does not read is dropped; it can come back and get what it missed.
"""

import logging
import select
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.db import connections
from redis.exceptions import RedisError

from digits_project.jobs.events import event_log
from digits_project.jobs.events.event_log import Event
from digits_project.jobs.events.job_facts import queue_facts
from digits_project.server.response_writer import Client
from digits_project.server.streaming.watcher import Viewer, Watcher

log = logging.getLogger(__name__)

WAIT_SECONDS = 0.5  # for events, before new clients, slow ones and those that hung up are looked at
PACE_SECONDS = 0.25  # between two sends to a client: of a small network dozens of metrics arrive each second
HEARTBEAT_SECONDS = 15.0  # after which a client gets a comment, so that proxies keep its connection
CHECK_SECONDS = 5.0  # between two checks of logins and of what users may see
QUEUE_SECONDS = 5.0  # between two looks at the queue, if no status changes
MIN_QUEUE_SECONDS = 1.0  # between two looks at it, however many change
HEARTBEAT = b":\n\n"
ALWAYS = (1 << 62, 0)  # the order of an event without an id: newer than all that a client has
GONE = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR  # a client has nothing more to send


class EventHub:
    """The streams of this web process. Its thread starts with the first one."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._new: list[Watcher] = []  # the thread takes them in
        self._thread: threading.Thread | None = None
        self._is_stopping = False
        self._watchers: dict[int, Watcher] = {}  # by file descriptor
        self._viewers: WeakValueDictionary[object, Viewer] = WeakValueDictionary()
        self._position = event_log.START
        self._sent_at = self._checked_at = self._queue_at = 0.0
        self._queue_is_due = self._is_away = False
        self._queue: dict = {}

    def viewer(self, headers: tuple[tuple[str, str], ...] | None, user: Any) -> Viewer:
        """The user of a new stream: one object for all streams with the same session or token."""
        known = self._viewers.get(headers)
        if known is None:
            known = self._viewers[headers] = Viewer(headers, user)
        return known

    def adopt(self, watcher: Watcher, sock: Client, done: Callable[[], None]) -> None:
        """Send to this client from now on. The loop calls it, and `done` is called once when the stream ends."""
        watcher.begin(sock, done)
        if sock.backlog is not None or not watcher.flush():
            watcher.end(politely=False)
            return
        with self._changed:
            if not self._is_stopping:
                self._new.append(watcher)
                self._changed.notify()
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="event-streams", daemon=True)
                    self._thread.start()
                return
        watcher.end(politely=True)

    def stop(self) -> None:
        """End all streams, and refuse new ones, because this process stops. Clients connect again, to another one."""
        with self._changed:
            self._is_stopping = True
            self._changed.notify()

    # --- the thread ---------------------------------------------------------------------------------------------------
    def _run(self) -> None:
        self._poller = select.epoll()
        while not self._is_stopping:
            try:
                self._take_in()
                self._step()
            except Exception:  # no fault with one client ends the streams of all later ones
                log.exception("The event streams of this process end because of a fault")
                self._end(list(self._watchers.values()), politely=False)
        with self._changed:
            self._end([*self._watchers.values(), *self._new], politely=True)

    def _take_in(self) -> None:
        """Take in new clients; without any client, wait for one."""
        with self._changed:
            while not (self._new or self._watchers or self._is_stopping):
                self._changed.wait()
            new, self._new = self._new, []
        if not self._watchers and new:
            self._position = min(new, key=lambda watcher: watcher.moment).position
        for watcher in new:
            self._watchers[watcher.sock.fileno()] = watcher
            self._poller.register(watcher.sock, GONE)
        reached = event_log.order(self._position)
        for watcher in [watcher for watcher in new if watcher.moment < reached]:
            with suppress(RedisError):  # what the others already have
                missed = event_log.since(watcher.position) or []
                self._deliver([event for event in missed if event_log.order(event.id) <= reached], [watcher])

    def _step(self) -> None:
        """Wait for events for a moment, and send them; then do what is due."""
        time.sleep(max(0.0, self._sent_at + PACE_SECONDS - time.monotonic()))
        try:
            events = event_log.following(self._position, WAIT_SECONDS)
            self._is_away = False
        except RedisError as away:
            if not self._is_away:  # once, not with every attempt
                log.warning("Event streams wait for Redis: %s", away)
            self._is_away = True
            time.sleep(WAIT_SECONDS)
            events = []
        if events:
            self._position, self._sent_at = events[-1].id, time.monotonic()
            self._deliver(events, self._watchers.values())
            self._queue_is_due = self._queue_is_due or any(event.type == "status" for event in events)
        self._drop_gone()
        now = time.monotonic()
        try:
            self._look_at_queue(now)
            self._check(now)
        except DatabaseFailure as away:
            log.warning("Event streams wait for the database: %s", away)
            connections.close_all()
        self._send_heartbeats(now)

    def _deliver(self, events: Sequence[Event], watchers: Iterable[Watcher]) -> None:
        """Send events to those who want and may see them, to each all at once; each event is encoded once, and once
        more without paths."""
        moments = [event_log.order(event.id) if event.id else ALWAYS for event in events]
        texts: list[dict[bool, bytes]] = [{} for _ in events]
        dropped = []
        for watcher in watchers:
            wanted = [number for number, event in enumerate(events) if watcher.wants(event, moments[number])]
            text = b"".join(self._text(watcher.viewer, events[number], texts[number]) for number in wanted)
            if text and not watcher.send(text):
                dropped.append(watcher)
        self._end(dropped, politely=False)

    @staticmethod
    def _text(viewer: Viewer, event: Event, texts: dict[bool, bytes]) -> bytes:
        """The event as this user may see it; b"" if not at all. `texts` are those made already, without paths or
        with."""
        try:
            if not viewer.may_see(event):
                return b""
            if viewer.is_limited not in texts:
                texts[viewer.is_limited] = viewer.text(event)
        except DatabaseFailure as away:  # a later event, or the page itself, shows what is now
            log.warning("An event was not sent, because the database can't be reached: %s", away)
            connections.close_all()
            return b""
        return texts[viewer.is_limited]

    def _drop_gone(self) -> None:
        """End the streams of clients that hung up or don't read."""
        for descriptor, _ in self._poller.poll(0):
            if watcher := self._watchers.get(descriptor):
                self._end([watcher], politely=False)
        self._end([watcher for watcher in self._watchers.values() if not watcher.flush()], politely=False)

    def _send_heartbeats(self, now: float) -> None:
        silent = [watcher for watcher in self._watchers.values() if now - watcher.sent_at >= HEARTBEAT_SECONDS]
        self._end([watcher for watcher in silent if not watcher.send(HEARTBEAT)], politely=False)

    def _look_at_queue(self, now: float) -> None:
        """Send the state of the queue, if it has changed, to those who want it."""
        wanting = [watcher for watcher in self._watchers.values() if "queue" in watcher.wanted.types]
        if not wanting or now - self._queue_at < (MIN_QUEUE_SECONDS if self._queue_is_due else QUEUE_SECONDS):
            return
        self._queue_at, self._queue_is_due = now, False
        facts = queue_facts()
        if facts != self._queue:
            self._queue = facts
            self._deliver([Event("", "queue", "", facts)], wanting)

    def _check(self, now: float) -> None:
        """End the streams of users who have logged out or may no longer see a job that they asked for."""
        if now - self._checked_at < CHECK_SECONDS:
            return
        self._checked_at = now
        viewers = {id(watcher.viewer): watcher.viewer for watcher in self._watchers.values()}
        valid = {key: viewer.refresh() for key, viewer in viewers.items()}
        watchers = list(self._watchers.values())
        self._end([watcher for watcher in watchers if not valid[id(watcher.viewer)]], politely=True)
        if settings.DIGITS_PRIVATE:
            blind = [watcher for watcher in self._watchers.values() if not watcher.sees_its_jobs()]
            self._end(blind, politely=True)
        connections.close_all()

    def _end(self, watchers: Iterable[Watcher], politely: bool) -> None:
        for watcher in watchers:
            if self._watchers.pop(watcher.sock.fileno(), None):
                with suppress(OSError, ValueError):  # it was never registered
                    self._poller.unregister(watcher.sock)
            watcher.end(politely)


hub = EventHub()
