"""What happens to jobs, as it happens: the stream of the server's events."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx

from digits_client.connection import Connection
from digits_client.errors import ConnectionFailed

SILENCE = 40.0  # seconds; the server sends a sign of life every 15
ALIVE = "alive"  # the type that such a sign gets here


@dataclass(frozen=True)
class Event:
    """Something that happened: `type` is status, progress, metrics, queue, start or reset, and `data` says what, with
    the job's id as `job`. `id` is empty for an event that describes the present state."""

    id: str
    type: str
    data: dict[str, Any]


def path_of(form: str, jobs: Iterable[str], types: Iterable[str], since: str | None) -> str:
    """The address of these events."""
    query = [("job", job) for job in jobs]
    if names := ",".join(types):
        query.append(("types", names))
    if since:
        query.append(("since", since))
    return f"/events{form}?{urlencode(query)}" if query else f"/events{form}"


def recent(
    connection: Connection, jobs: Iterable[str], types: Iterable[str], since: str | None
) -> tuple[Sequence[Event], str]:
    """The events after the one with the id `since`, or without it the present state; and the id to ask with next."""
    found = connection.json("GET", path_of(".json", jobs, types, since))
    return [Event(each["id"], each["type"], each["data"]) for each in found["events"]], found["last_event_id"]


def stream(
    connection: Connection, jobs: Iterable[str], types: Iterable[str], since: str | None, silence: float = SILENCE
) -> Generator[Event, None, None]:
    """The events and signs of life of one connection, until the server ends it. Raises ConnectionFailed if it is lost,
    or silent for `silence` seconds."""
    path = path_of("", jobs, types, since)
    headers = {"Accept": "text/event-stream"}
    with connection.stream(path, headers=headers, timeout=silence, retries=False) as response:
        try:
            yield from _parsed(response.iter_lines())
        except httpx.TransportError as lost:
            raise ConnectionFailed(f"The stream of events was lost ({lost or type(lost).__name__}).") from lost


def _parsed(lines: Iterator[str]) -> Iterator[Event]:
    """Server-Sent Events: lines of `name: value`, an empty line after each event."""
    values: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if line and name:
            values[name] = value.removeprefix(" ")
        elif not line:
            yield Event(values.get("id", ""), values.get("event", ALIVE), json.loads(values.get("data") or "{}"))
            values = {}
