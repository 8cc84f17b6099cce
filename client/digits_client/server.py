"""The server: where everything begins."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from digits_client import events
from digits_client.connection import Connection
from digits_client.errors import ConnectionFailed
from digits_client.events import ALIVE, Event
from digits_client.resources.datasets import Datasets
from digits_client.resources.evaluations import Evaluations
from digits_client.resources.jobs import Job
from digits_client.resources.models import Models
from digits_client.resources.pretrained import PretrainedModels
from digits_client.resources.searches import Searches
from digits_client.resources.uploads import Uploads
from digits_client.resources.webhooks import Webhooks

DEFAULT_URL = "http://127.0.0.1:5000"
URL_VARIABLE, TOKEN_VARIABLE = "DIGITS_URL", "DIGITS_TOKEN"
TIMEOUT_SECONDS = 60.0
COME_BACK_SECONDS = 1.0  # after a stream of events has ended


class Server:
    """A DIGITS server.

        with Server("http://127.0.0.1:5000") as server:
            dataset = server.datasets.create_from_folder("photos/")
            model = server.models.train(dataset).wait()
            print(*model.classify(["cat.jpg", "dog.jpg"]), sep="\\n")

    `url` and `token` default to the environment variables DIGITS_URL and DIGITS_TOKEN. (The token of the environment is
    not sent to another server than that of DIGITS_URL.) `timeout` is in seconds, for a response. `http` is an
    httpx.Client of your own, for a proxy or a certificate; you close it.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout: float = TIMEOUT_SECONDS,
        http: httpx.Client | None = None,
    ):
        usual = os.environ.get(URL_VARIABLE)
        if token is None and (url is None or usual is None or url.rstrip("/") == usual.rstrip("/")):
            token = os.environ.get(TOKEN_VARIABLE)
        self._connection = Connection(url or usual or DEFAULT_URL, token, timeout, http)
        self.url = self._connection.url
        self.datasets = Datasets(self._connection)
        self.models = Models(self._connection)
        self.evaluations = Evaluations(self._connection)
        self.pretrained = PretrainedModels(self._connection)
        self.searches = Searches(self._connection)
        self.uploads = Uploads(self._connection)
        self.webhooks = Webhooks(self._connection)

    def __repr__(self) -> str:
        return f"<Server {self.url}>"

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()

    # --- the state of the server --------------------------------------------------------------------------------------
    def account(self) -> dict[str, Any]:
        """Who you are, your waiting jobs and disk space, and the limits of both."""
        return self._facts("/account.json")

    def queue(self) -> Sequence[dict[str, Any]]:
        """The queues of the classes of jobs: what waits, in its order, and why."""
        return self._rows("queue", "queues")

    def devices(self) -> Sequence[dict[str, Any]]:
        """The GPUs and CPUs of all hosts, their engines and the jobs that hold them."""
        return self._rows("devices", "devices")

    def workers(self) -> Sequence[dict[str, Any]]:
        """The workers of all hosts."""
        return self._rows("workers", "workers")

    def disk(self) -> dict[str, Any]:
        """The disk of the jobs in bytes: total, free, and what jobs take."""
        return self._facts("/api/v1/disk")

    def events(
        self, jobs: Iterable[Job | str] = (), types: Iterable[str] = (), since: str | None = None
    ) -> Iterator[Event]:
        """What happens to these jobs, or to all, as it happens; it begins with the present state, or after the event
        with the id `since`. It comes back after a lost connection and ends never: leave the loop when you have seen
        enough."""
        ids, names = [_id_of(job) for job in jobs], list(types)
        while True:
            try:
                for event in events.stream(self._connection, ids, names, since):
                    since = event.id or since
                    if event.type != ALIVE:
                        yield event
            except ConnectionFailed:
                self._connection.request("GET", "/healthz")  # raises when the server does not come back
            time.sleep(COME_BACK_SECONDS)

    def recent_events(
        self, jobs: Iterable[Job | str] = (), types: Iterable[str] = (), since: str | None = None
    ) -> tuple[Sequence[Event], str]:
        """The events after the one with the id `since`, or without it the present state; and the id to ask with
        next."""
        return events.recent(self._connection, [_id_of(job) for job in jobs], types, since)

    # --- several jobs -------------------------------------------------------------------------------------------------
    def abort(self, *jobs: Job | str) -> None:
        """Abort several jobs."""
        self.post("/abort_jobs.json", **_ids(jobs))

    def delete(self, *jobs: Job | str) -> None:
        """Delete several jobs."""
        self._connection.request("DELETE", "/jobs.json", fields=_ids(jobs))

    def move_to(self, group: str, *jobs: Job | str) -> None:
        """Put several jobs into a group; "" takes them out."""
        self.post("/group.json", group_name=group, **_ids(jobs))

    # --- any address of the API ---------------------------------------------------------------------------------------
    def get(self, path: str, /, **params: Any) -> Any:
        """What a GET returns: the value of JSON, a text as str, anything else as bytes. It follows redirects."""
        return self._connection.json("GET", path, params=params, follow=True)

    def post(self, path: str, /, **fields: Any) -> Any:
        """What a POST of a form returns. A pathlib.Path is sent as a file, a str as it is."""
        return self._connection.json("POST", path, fields=fields)

    def put(self, path: str, /, **fields: Any) -> Any:
        """What a PUT of a form returns."""
        return self._connection.json("PUT", path, fields=fields)

    def request(self, method: str, path: str, /, **fields: Any) -> httpx.Response:
        """The whole response to a request, with its headers; redirects are not followed. Raises an ApiError for a
        status of 400 or more, which has the response too."""
        return self._connection.request(method, path, fields=fields or None)

    def download(self, path: str, file: str | os.PathLike[str], /, **params: Any) -> Path:
        """Write what a GET returns to a file of this computer."""
        return self._connection.download(path, Path(file), params=params)

    def _facts(self, path: str) -> dict[str, Any]:
        found: dict[str, Any] = self._connection.json("GET", path)
        return found

    def _rows(self, name: str, key: str) -> Sequence[dict[str, Any]]:
        return self._facts(f"/api/v1/{name}")[key] or []


def _id_of(job: Job | str) -> str:
    return job.id if isinstance(job, Job) else job


def _ids(jobs: Iterable[Job | str]) -> dict[str, list[str]]:
    return {"job_ids[]": [_id_of(job) for job in jobs]}
