"""Follows a job to its end: by the stream of events where the server has one, else by asking again and again."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Protocol

from digits_client import events
from digits_client.connection import Connection
from digits_client.errors import ApiError, ConnectionFailed, ServerFault
from digits_client.events import Event
from digits_client.progress import Bar, duration

ENDED = ("Done", "Aborted", "Error")
NOT_STARTED = ("Initialized", "Waiting")
DELETED = "Deleted"  # instead of a status
TYPES = ("status", "progress", "metrics")
POLL_SECONDS = 1.0  # between two questions without a stream
PATIENCE = 300.0  # seconds without any response, after which following gives up


@dataclass(frozen=True)
class State:
    """What is known of a job at a moment."""

    status: str
    progress: float = 0.0
    seconds_left: float | None = None
    epoch: float | None = None
    accuracy: float | None = None
    reason: str = ""  # why it waits

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    def after(self, event: Event) -> State:
        """The state after an event of the job."""
        if event.type == "metrics":
            accuracy = event.data.get("accuracy") if event.data.get("split") == "val" else None
            return self if accuracy is None else replace(self, accuracy=accuracy)
        known = {
            name: event.data[name] for name in ("status", "progress", "seconds_left", "epoch") if name in event.data
        }
        return replace(self, **known)


class Followed(Protocol):
    """The part of a job that is needed to follow it."""

    @property
    def id(self) -> str: ...

    facts: dict[str, Any]

    def refresh(self) -> object: ...


def follow(
    connection: Connection, job: Followed, deadline: float | None = None, poll_seconds: float = POLL_SECONDS
) -> Iterator[State | None]:
    """The states of a job until it has ended. None comes in between, at least every few seconds and at the deadline (of
    time.monotonic), so that the caller can look at the clock. Raises NotFound if the job is deleted meanwhile, and
    ConnectionFailed or ServerFault if the server is away for long."""
    heard_at, streams = time.monotonic(), True
    state, since = State(""), ""
    while True:
        try:
            job.refresh()
            state, heard_at = _read(job.facts, state), time.monotonic()
            yield state
            if state.has_ended:
                return
            stream = _stream(connection, job.id, since, deadline) if streams else iter(())
            for event in stream:
                heard_at, since = time.monotonic(), event.id or since
                state = state.after(event)
                if state.has_ended or event.type == "reset" or state.status == DELETED:
                    break  # the facts are read once more
                yield None if event.type == events.ALIVE else state
        except _NoStream:
            streams = False
        except (ConnectionFailed, ServerFault):
            if time.monotonic() - heard_at > PATIENCE:
                raise
        yield None
        if not state.has_ended:
            time.sleep(poll_seconds)


class _NoStream(Exception):
    """The server has no stream of events, or too many."""


def _stream(connection: Connection, job_id: str, since: str, deadline: float | None) -> Iterator[Event]:
    """The events of a job, until the stream ends or the deadline has come."""
    silence = events.SILENCE if deadline is None else min(events.SILENCE, max(0.05, deadline - time.monotonic()))
    try:
        with closing(events.stream(connection, [job_id], TYPES, since or None, silence)) as stream:
            yield from stream
    except ServerFault:
        raise
    except ApiError as refused:
        raise _NoStream from refused


def _read(facts: Mapping[str, Any], before: State) -> State:
    """The state by the facts of /api/v1, with what only events say as it was before."""
    queue = facts.get("queue") or {}
    return replace(
        before,
        status=facts["status"],
        progress=facts.get("progress", before.progress),
        seconds_left=facts.get("seconds_left"),
        accuracy=facts.get("accuracy", before.accuracy),
        reason=queue.get("reason", ""),
    )


def show(bar: Bar, state: State, epochs: float | None) -> None:
    """Draw the state of a job; `epochs` is how many a training has."""
    facts = [state.reason] if state.status == "Waiting" and state.reason else []
    if state.epoch is not None and not state.has_ended:
        facts.append(f"epoch {state.epoch:.1f} of {epochs:g}" if epochs else f"epoch {state.epoch:.1f}")
    if state.accuracy is not None:
        facts.append(f"accuracy {100 * state.accuracy:.1f} %")
    if state.seconds_left is not None and not state.has_ended:
        facts.append(f"{duration(state.seconds_left)} left")
    bar.show(state.status, state.progress, *facts, final=state.has_ended)
