"""The exceptions of the client. All of them are a DigitsError."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from digits_client.resources.jobs import Job

MAX_SHOWN = 300  # characters of a response that is not in the format of the API


class DigitsError(Exception):
    """The base of all exceptions of this package."""


class ConnectionFailed(DigitsError):
    """The server could not be reached, or the connection was lost. The cause is an exception of httpx."""


class ApiError(DigitsError):
    """The server answered with an error: its `status`, its `description` for people, and the whole `response`."""

    def __init__(self, description: str, response: httpx.Response):
        super().__init__(description)
        self.description = description
        self.response = response
        self.status: int = response.status_code


class InvalidField(ApiError):
    """Fields of a form are missing or wrong (400), and nothing was created. `fields` has the messages of each field;
    those that belong to no field are under ""."""

    def __init__(self, fields: dict[str, list[str]], response: httpx.Response):
        named = [f"{name}: {text}" if name else text for name, texts in fields.items() for text in texts]
        super().__init__("\n".join(named), response)
        self.fields = fields


class NotAllowed(ApiError):
    """You may not do this, or the state of the job does not allow it (403)."""


class NotLoggedIn(NotAllowed):
    """The server has accounts, and the token is missing, unknown or expired (401)."""


class NotFound(ApiError):
    """There is no such job, snapshot or address, or you may not see it (404)."""


class Conflict(ApiError):
    """The state of the job does not allow this (409), such as a model without a snapshot."""


class TooManyRequests(ApiError):
    """You exceed a limit of the server (429). `retry_after` is the number of seconds after which the server takes
    requests again; None if it does not say, as when too many jobs wait."""

    def __init__(self, description: str, response: httpx.Response):
        super().__init__(description, response)
        self.retry_after = seconds_of(response)


class ServerFault(ApiError):
    """The server failed or is overloaded (5xx). Its log has the details."""


class JobFailed(DigitsError):
    """A job did not end Done. `error` is the server's explanation, `job` the job."""

    def __init__(self, job: Job, text: str, error: str):
        super().__init__(text)
        self.job = job
        self.error = error


class JobAborted(JobFailed):
    """A job was aborted."""


class WaitTimeout(DigitsError, TimeoutError):
    """A job has not ended in the time that wait() was given. It goes on."""


STATUSES: dict[int, type[ApiError]] = {
    401: NotLoggedIn,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    429: TooManyRequests,
}


def error_of(response: httpx.Response) -> ApiError:
    """The exception for a response with an error, whose body was read."""
    body = _json(response)
    if fields := body.get("errors"):
        return InvalidField(_by_field(fields), response)
    kind = STATUSES.get(response.status_code) or (ServerFault if response.status_code >= 500 else ApiError)
    return kind(_description(body, response), response)


def seconds_of(response: httpx.Response) -> float | None:
    """The header Retry-After in seconds; None without one."""
    try:
        return max(0.0, float(response.headers.get("Retry-After", "")))
    except ValueError:  # a date, which the server never sends
        return None


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _by_field(fields: Mapping[str, Any] | Sequence[Mapping[str, str]]) -> dict[str, list[str]]:
    """{field: messages} of either wire format of the server."""
    if isinstance(fields, Mapping):
        return {name: [str(text) for text in texts] for name, texts in fields.items()}
    found: dict[str, list[str]] = {}
    for each in fields:
        found.setdefault(each["field"], []).append(each["message"])
    return found


def _description(body: dict[str, Any], response: httpx.Response) -> str:
    error = body.get("error")
    if isinstance(error, dict) and error.get("description"):
        return str(error["description"])
    text = "" if "html" in response.headers.get("Content-Type", "") else response.text.strip()[:MAX_SHOWN]
    return text or f"{response.request.method} {response.request.url} got the status {response.status_code}."
