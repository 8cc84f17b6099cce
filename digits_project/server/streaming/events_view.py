"""GET /events: a stream of the events of jobs, and /events.json: those that have happened lately."""

import random
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from redis.exceptions import RedisError
from rest_framework.exceptions import NotFound, Throttled, ValidationError
from rest_framework.response import Response
from rest_framework.serializers import CharField, ChoiceField, DictField, JSONField, Serializer
from rest_framework.views import APIView

from digits_project.accounts import permissions
from digits_project.accounts.client_address import client_network, sender
from digits_project.accounts.roles import Role
from digits_project.api.openapi import errors
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.common.shared_memory.web_processes import shared
from digits_project.jobs.events import event_log
from digits_project.jobs.events.event_log import TYPES, Event
from digits_project.jobs.events.job_facts import active_jobs, progress_facts, queue_facts, status_facts
from digits_project.jobs.models import Job, Status
from digits_project.jobs.visibility import find_visible
from digits_project.server.response_writer import Client
from digits_project.server.streaming.event_hub import hub
from digits_project.server.streaming.watcher import ALL_STREAMS, Viewer, Wanted, Watcher, message

MAX_NAMED_JOBS = 100
MAX_STREAMS = 1000  # of all users of a host
MAX_STREAMS_OF_CALLER = 250  # of a user, without a login of an address
RETRY_MILLISECONDS = (2000, 5000)  # when a client whose stream ended connects again: not all at the same moment
RESET = Event("", "reset", "", {})  # to a client that may have missed events


class EventFacts(Serializer):
    """An event."""

    def get_fields(self):  # as an attribute, the last would hide the serializer's own `data`
        return {
            "id": CharField(help_text="Events are ordered by it; empty for one that describes the present state."),
            "type": ChoiceField([*TYPES, "reset"]),
            "data": DictField(child=JSONField(), help_text="What has changed; `job` is the id of the job."),
        }


class RecentEvents(Serializer):
    """The events since the one that was asked for, or the present state."""

    last_event_id = CharField(help_text="Send it as `since` with the next request.")
    events = EventFacts(many=True)


PARAMETERS = [
    OpenApiParameter("job", str, many=True, description="Only events of these jobs; can be repeated."),
    OpenApiParameter("types", str, description="Only these types, separated by commas: status,progress,metrics,queue."),
    OpenApiParameter("since", str, description="The id of the last event that you have, as the header Last-Event-ID."),
]


class EventsView(APIView):
    """The events of the jobs that you can see, as they happen: status, progress, metrics and the queue.

    A stream of Server-Sent Events. It begins with the events after `since` if the server still has them, else with the
    present state.
    """

    renderer_classes = (PrettyJSONRenderer,)
    reading_role = Role.VIEWER

    @extend_schema(
        parameters=PARAMETERS,
        responses={
            (200, "application/json"): RecentEvents,  # first, because generated clients take the first
            (200, "text/event-stream"): OpenApiResponse(OpenApiTypes.STR, "A stream without an end."),
            **errors(404),
        },
    )
    def get(self, request, format=None):
        wanted = _wanted(request.query_params)
        viewer = hub.viewer(_credentials(request), request.user)
        since = request.headers.get("Last-Event-ID") or request.query_params.get("since", "")
        position, events = _beginning(wanted, viewer, since)
        if format == "json":
            shown = [{"id": event.id, "type": event.type, "data": viewer.data(event)} for event in events]
            return Response({"last_event_id": position, "events": shown})
        if request.method == "HEAD":
            return HttpResponse(content_type="text/event-stream")
        # The first message has the id that the client sends when it comes back.
        first = message("start", {}, position) + b"".join(map(viewer.text, events))
        return _stream(request, wanted, viewer, position, first)


def _wanted(query) -> Wanted:
    """What the query string asks for. Raises ValidationError, or NotFound for a job that the user can't see."""
    types = [name for text in query.getlist("types") for name in text.split(",") if name] or TYPES
    if unknown := sorted(set(types) - set(TYPES)):
        raise ValidationError({"types": f"There is no type {unknown[0][:50]}; the types are {', '.join(TYPES)}."})
    jobs = frozenset(query.getlist("job"))
    if len(jobs) > MAX_NAMED_JOBS:
        raise ValidationError({"job": f"A request can name at most {MAX_NAMED_JOBS} jobs; leave them out for all."})
    return Wanted(frozenset(types), jobs)


def _credentials(request) -> tuple[tuple[str, str], ...] | None:
    """The headers with the session or token; None on a server without accounts."""
    if not permissions.has_accounts():
        return None
    names = ("AUTHORIZATION", "COOKIE")
    return tuple((name, request.META[f"HTTP_{name}"]) for name in names if f"HTTP_{name}" in request.META)


def _beginning(wanted: Wanted, viewer: Viewer, since: str) -> tuple[str, list[Event]]:
    """The id of the newest event, and the events with which a stream begins. Raises NotFound."""
    jobs = [_found(job_id) for job_id in sorted(wanted.jobs)]
    try:
        missed = event_log.since(since) if since else None
        position = since if missed == [] else missed[-1].id if missed else event_log.last_id()
    except RedisError:
        missed, position = None, event_log.now_id()
    queue = [Event("", "queue", "", queue_facts())] if "queue" in wanted.types else []
    if missed is not None:
        return position, [event for event in missed if wanted.includes(event) and viewer.may_see(event)] + queue
    present = [event for event in _present(jobs or active_jobs()) if wanted.includes(event)] + queue
    return position, [RESET, *present] if since else present


def _found(job_id: str) -> Job:
    if job := find_visible(job_id):
        return job
    raise NotFound(f"There is no job {job_id[:50]}")


def _present(jobs: Iterable[Job]) -> Iterator[Event]:
    """The present state of these jobs."""
    for job in jobs:
        of_job: dict[str, Any] = {"job": job.pk, "kind": job.ROUTE}
        yield Event("", "status", job.pk, of_job | status_facts(job))
        if job.status == Status.RUNNING:
            yield Event("", "progress", job.pk, of_job | progress_facts(job))


def _stream(request, wanted: Wanted, viewer: Viewer, position: str, first: bytes) -> HttpResponseBase:
    """The response that leaves its connection to the hub. Another web server than ours ends it after the beginning;
    clients then come back after a few seconds, as if they polled."""
    client = request.META.get("gunicorn.socket")
    if isinstance(client, Client):
        share = _count(request)
        is_chunked = request.META.get("SERVER_PROTOCOL") != "HTTP/1.0"
        watcher = Watcher(wanted, viewer, position, is_chunked, first, share)
        response: HttpResponseBase = StreamingHttpResponse(HandingOver(client, watcher))
    else:
        response = HttpResponse(_retry() + first)
    response.headers["Content-Type"] = "text/event-stream; charset=utf-8"
    response.headers["Cache-Control"] = "no-store, no-transform"
    response.headers["X-Accel-Buffering"] = "no"  # nginx would collect events until its buffer is full
    return response


class HandingOver:
    """The body of the response until the hub has its connection: how soon to come back after the end."""

    def __init__(self, client: Client, watcher: Watcher):
        self._client, self._watcher, self._parts = client, watcher, iter([_retry()])

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        part = next(self._parts, None)
        if part is None:
            self._client.hand_over = partial(hub.adopt, self._watcher)
            raise StopIteration
        return part

    def close(self) -> None:
        if self._client.hand_over is None:  # the client hung up before
            self._watcher.release()


def _retry() -> bytes:
    return b"retry: %d\n\n" % random.randint(*RETRY_MILLISECONDS)  # nosec B311 (no secret)


def _count(request) -> str:
    """Count a new stream of the caller; returns the name under which it counts. Raises Throttled."""
    user = request.user
    caller = f"user {user.pk}" if user.is_authenticated else f"address {client_network(sender(request))}"
    share = f"event streams of {caller}"
    own, total = shared().hold(share, 1), shared().hold(ALL_STREAMS, 1)
    if own > MAX_STREAMS_OF_CALLER or total > MAX_STREAMS:
        shared().hold(share, -1)
        shared().hold(ALL_STREAMS, -1)
        raise Throttled(detail="There are too many event streams, of you or of all users; close some, or poll.")
    return share
