"""What all jobs have in common: their facts, what can be done with them, and lists of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar, overload

from digits_client import following
from digits_client.connection import Connection
from digits_client.errors import JobAborted, JobFailed, WaitTimeout
from digits_client.following import ENDED, State
from digits_client.progress import Bar
from digits_client.results import Queue, moment, optional, record

T = TypeVar("T")
J = TypeVar("J", bound="Job")
AnyJob = TypeVar("AnyJob", bound="Job")


class Fact(Generic[T]):
    """An attribute of a job that reads one of its facts. A job that was just created, or comes from a list, has only
    some; the others are fetched when they are first read."""

    def __init__(self, read: Callable[[Any], T], key: str = ""):
        self._read = read
        self._key = key

    def __set_name__(self, owner: type, name: str) -> None:
        self._key = self._key or name

    @overload
    def __get__(self, job: None, owner: type) -> Fact[T]: ...
    @overload
    def __get__(self, job: Job, owner: type) -> T: ...
    def __get__(self, job: Job | None, owner: type) -> Fact[T] | T:
        if job is None:
            return self
        if self._key not in job.facts:
            job.refresh()
        if self._key not in job.facts:
            raise AttributeError(f"The server does not report {self._key!r} of {job!r}.")
        return self._read(job.facts[self._key])


class Job:
    """A job of the server. Its attributes are the facts of the last response; refresh() fetches them again, wait()
    waits for the end. `facts` has all of them as the server sent them."""

    RESOURCE: ClassVar[str]  # its name under /api/v1

    id = Fact(str)
    name = Fact(str)
    type = Fact(str)
    status = Fact(str)
    progress = Fact(float)
    seconds_left = Fact(optional(float))
    error = Fact(str)
    owner = Fact(str)
    group = Fact(str)
    notes = Fact(str)
    priority = Fact(int)
    created_at: Fact[datetime] = Fact(moment)
    started_at = Fact(optional(moment))
    ended_at = Fact(optional(moment))
    disk_bytes = Fact(optional(int))
    directory = Fact(str)
    queue = Fact(optional(record(Queue)))

    def __init__(self, connection: Connection, facts: Mapping[str, Any]):
        self._connection = connection
        self.facts: dict[str, Any] = dict(facts)

    def __repr__(self) -> str:
        known = " ".join(f"{name}={self.facts[name]!r}" for name in ("id", "name", "status") if name in self.facts)
        return f"<{type(self).__name__} {known}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Job) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    @property
    def has_ended(self) -> bool:
        """Whether the job was Done, Aborted or in Error at the last response."""
        return self.status in ENDED

    def refresh(self: AnyJob) -> AnyJob:
        """Fetch the facts again."""
        self.facts.update(self._connection.json("GET", f"/api/v1/{self.RESOURCE}/{self.facts['id']}"))
        return self

    # --- to the end ---------------------------------------------------------------------------------------------------
    def wait(self: AnyJob, *, progress: bool = True, timeout: float | None = None, check: bool = True) -> AnyJob:
        """Wait until the job has ended, with a bar on standard error, and return it.

        Raises JobFailed with the server's explanation if it ends in Error, JobAborted if it was aborted (neither with
        `check=False`), and WaitTimeout after `timeout` seconds; the job goes on then.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        with Bar(self.name, enabled=progress) as bar:
            for state in following.follow(self._connection, self, deadline):
                if state is not None:
                    following.show(bar, state, self._epochs())
                if deadline is not None and time.monotonic() > deadline and not self._is_over(state):
                    raise WaitTimeout(f"{self.name} ({self.id}) is still {self.status} after {timeout:g} seconds.")
        return self.check() if check else self

    def check(self: AnyJob) -> AnyJob:
        """Raise JobFailed or JobAborted if the job ended so; else return it."""
        if self.status == "Aborted":
            raise JobAborted(self, f"{self.name} ({self.id}) was aborted. {self.error}".strip(), self.error)
        if self.status == "Error":
            raise JobFailed(self, f"{self.name} ({self.id}) failed: {self.error}", self.error)
        return self

    @staticmethod
    def _is_over(state: State | None) -> bool:
        return state is not None and state.has_ended

    def _epochs(self) -> float | None:
        """How many epochs it has, for the bar."""
        return None

    def wait_for_start(self: AnyJob, *, timeout: float | None = None) -> AnyJob:
        """Wait until the job runs, or has ended already, and return it. Raises WaitTimeout."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for state in following.follow(self._connection, self, deadline):
            if state is not None and state.status not in following.NOT_STARTED:
                break
            if deadline is not None and time.monotonic() > deadline:
                raise WaitTimeout(f"{self.name} ({self.id}) still waits after {timeout:g} seconds.")
        return self.refresh()

    # --- what can be done with it -------------------------------------------------------------------------------------
    def abort(self: AnyJob) -> AnyJob:
        """Abort the job; it stops within two seconds. wait(check=False) waits for that."""
        return self._acted("POST", "/abort")

    def resume(self: AnyJob) -> AnyJob:
        """Go on with an aborted or failed job: a training from its newest snapshot, another job from its beginning."""
        return self._acted("POST", "/resume")

    def rename(self: AnyJob, name: str) -> AnyJob:
        """Give the job another name."""
        return self.change(job_name=name)

    def annotate(self: AnyJob, notes: str) -> AnyJob:
        """Replace the notes of the job."""
        return self.change(job_notes=notes)

    def move_to(self: AnyJob, group: str) -> AnyJob:
        """Put the job into a group; "" takes it out of its group."""
        return self.change(group_name=group)

    def change(self: AnyJob, **fields: Any) -> AnyJob:
        """Change several things: job_name, job_notes, group_name, and on a private server shared_with."""
        self._connection.request("PUT", f"/jobs/{self.id}.json", fields=fields)
        return self.refresh()

    def delete(self) -> None:
        """Delete the job with its files. A running job is aborted first."""
        self._connection.request("DELETE", f"/jobs/{self.id}.json")

    def _acted(self: AnyJob, method: str, action: str) -> AnyJob:
        self._connection.request(method, f"/jobs/{self.id}{action}.json")
        return self.refresh()


class Listing(Generic[J]):
    """The jobs of a list, fetched page by page while it is iterated. len() is their number on all pages."""

    def __init__(self, connection: Connection, kind: type[J], filters: Mapping[str, Any]):
        self._connection = connection
        self._kind = kind
        self._filters = filters
        self._first: dict[str, Any] | None = None

    def __len__(self) -> int:
        count: int = self._page()["count"]
        return count

    def __iter__(self) -> Iterator[J]:
        page = self._page()
        while True:
            for facts in page["results"]:
                yield self._kind(self._connection, facts)
            if not page["next"]:
                return
            page = self._connection.json("GET", page["next"])

    def first(self) -> J | None:
        """The first of them; None if there is none."""
        return next(iter(self), None)

    def _page(self) -> dict[str, Any]:
        if self._first is None:
            self._first = self._connection.json("GET", f"/api/v1/{self._kind.RESOURCE}", params=self._filters)
        return self._first


class Resource(Generic[J]):
    """The jobs of one class."""

    KIND: type[J]

    def __init__(self, connection: Connection):
        self._connection = connection

    def get(self, job_id: str) -> J:
        """The job with this id. Raises NotFound."""
        return self._kind({"id": job_id}).refresh()

    def find(self, name: str) -> J:
        """The newest job with exactly this name. Raises LookupError."""
        for job in self.list(name=name, sort="-created"):
            if job.name == name:
                return job
        raise LookupError(f"There is no job with the name {name!r}.")

    def list(
        self,
        *,
        name: str | None = None,
        status: str | Sequence[str] | None = None,
        owner: str | None = None,
        group: str | None = None,
        sort: str | None = None,
        page_size: int | None = None,
        **filters: Any,
    ) -> Listing[J]:
        """The jobs that the filters choose: a part of the name, one or several statuses, the owner, the group. `sort`
        is name, status, owner, group or created, models also accuracy or disk, with - in front from the largest;
        without it running jobs come first, then the newest."""
        given = {"name": name, "status": status, "owner": owner, "group": group, "sort": sort, "page_size": page_size}
        return Listing(self._connection, self.KIND, {**given, **filters})

    def __iter__(self) -> Iterator[J]:
        return iter(self.list())

    def _kind(self, facts: Mapping[str, Any]) -> J:
        return self.KIND(self._connection, facts)

    def _created(self, path: str, fields: Mapping[str, Any], **known: Any) -> J:
        """The job that a form creates."""
        return self._kind({**self._connection.json("POST", path, fields=fields), **known})
