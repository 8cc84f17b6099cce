"""The log of recent events: a Redis stream of limited length.

PostgreSQL stays the truth. An event that is lost, because Redis can't be reached or has lost its data, only makes a
page a moment late.

    publish("progress", job, progress=0.5)      # in the process that changed the job
    last_id(); since(event_id); following(position)   # in a web process
"""

import json
import logging
import math
import re
import time
from functools import cache, partial
from typing import Any, NamedTuple, TypeAlias, cast

import redis
from django.conf import settings
from django.db import transaction
from redis.backoff import NoBackoff
from redis.client import Redis
from redis.driver_info import DriverInfo
from redis.exceptions import RedisError
from redis.retry import Retry
from rq.defaults import RQ_KEY_PREFIX

from digits_project.jobs.models import Job

log = logging.getLogger(__name__)

TYPES = ("status", "progress", "metrics", "queue")  # those that a client can ask for; a queue event is in no log
STREAM = f"{RQ_KEY_PREFIX}:events"
MAX_EVENTS = 2000  # that Redis keeps: minutes of several trainings
MAX_READ = 500  # events at a time
TIMEOUT_SECONDS = 2.0  # for Redis: no job waits longer for its events
PAUSE_SECONDS = 5.0  # without attempts after Redis could not be reached
EVENT_ID = re.compile(r"(\d{1,15})-(\d{1,15})", re.ASCII)
START = "0-0"  # the id before all others
Entries: TypeAlias = list[tuple[bytes, dict[bytes, bytes]]]  # ids and fields


class Event(NamedTuple):
    """An event. `id` orders the events, `job` is the id of its job; both are "" for an event of the queue."""

    id: str
    type: str
    job: str
    data: dict[str, Any]


class _Pause:
    """Until when this process does not try to reach Redis."""

    until = 0.0


def publish(type: str, job: Job, **facts) -> None:
    """Append an event of a job when the transaction has been committed. It never fails, and never waits long."""
    data = {"job": job.pk, "kind": job.ROUTE} | facts
    transaction.on_commit(partial(_append, type, data))


def last_id() -> str:
    """The id of the newest event. Raises RedisError."""
    newest = cast(Entries, _client().xrevrange(STREAM, count=1))
    return newest[0][0].decode() if newest else START


def since(event_id: str) -> list[Event] | None:
    """The events after the one with this id; None if some of them can be missing. Raises RedisError."""
    oldest = cast(Entries, _client().xrange(STREAM, count=1))
    if not oldest or not is_event_id(event_id) or order(event_id) < order(oldest[0][0].decode()):
        return None
    if order(event_id) > order(last_id()):  # of a Redis that has lost its data
        return None
    return _parsed(cast(Entries, _client().xrange(STREAM, min=f"({event_id}")))


def following(position: str, seconds: float) -> list[Event]:
    """The events after `position`; waits for so many seconds if there is none yet. Raises RedisError."""
    read: Any = _client().xread({STREAM: position}, count=MAX_READ, block=int(1000 * seconds))
    streams = read.items() if isinstance(read, dict) else read  # depends on the version of the protocol
    return [event for _, entries in streams for event in _parsed(entries)]


def is_event_id(text: str) -> bool:
    return EVENT_ID.fullmatch(text) is not None


def now_id() -> str:
    """The id of an event that would happen now; for when Redis can't be reached."""
    return f"{time.time_ns() // 1_000_000}-0"


def order(event_id: str) -> tuple[int, int]:
    """What orders events by their ids."""
    moment, _, number = event_id.partition("-")
    return int(moment), int(number)


def _append(type: str, data: dict[str, Any]) -> None:
    if time.monotonic() < _Pause.until:
        return
    entry: dict[Any, Any] = {"type": type, "data": json.dumps({name: _finite(value) for name, value in data.items()})}
    try:
        _client().xadd(STREAM, entry, maxlen=MAX_EVENTS, approximate=True)
    except RedisError as away:
        _Pause.until = time.monotonic() + PAUSE_SECONDS
        log.warning("An event could not be published, pages show it later: %s", away)


def _finite(value: Any) -> Any:
    """The value, or None for a float that JSON does not have, as the loss of a training that diverges."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _parsed(entries: Entries) -> list[Event]:
    return [event for event in (_event(event_id, fields) for event_id, fields in entries) if event]


def _event(event_id: bytes, fields: dict[bytes, bytes]) -> Event | None:
    """The event of an entry; None for one that this server did not write."""
    try:
        data = json.loads(fields[b"data"])
        return Event(event_id.decode(), fields[b"type"].decode(), str(data["job"]), data)
    except (KeyError, TypeError, ValueError):
        return None


@cache
def _client() -> Redis:
    """A client with short timeouts and without retries; the one of the queues waits for Redis."""
    return Redis.from_url(
        settings.REDIS_URL,
        socket_timeout=TIMEOUT_SECONDS,
        socket_connect_timeout=TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
        driver_info=DriverInfo(lib_version=redis.__version__),  # else it searches the installed packages for it
    )
