"""Sends requests: how fields are encoded, what is retried, and which exception an error becomes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import httpx

from digits_client.errors import ConnectionFailed, error_of, seconds_of
from digits_client.version import VERSION

MAX_ATTEMPTS = 5  # of one request
MAX_PAUSE = 8.0  # seconds between two attempts of which the server does not say when
MAX_RETRY_AFTER = 120.0  # seconds for which a request waits because the server says so
REPEATABLE = ("GET", "HEAD")  # sent again after a lost connection: sent twice, they change nothing
UNAVAILABLE = (502, 503, 504)
OWN_HOSTS = ("127.0.0.1", "localhost", "[::1]")  # never asked for through a proxy
BLOCK = 1 << 18


class Connection:
    """The address of a server, the token, and the HTTP client that sends the requests."""

    def __init__(self, url: str, token: str | None, timeout: float, http: httpx.Client | None):
        self.url = (url if "://" in url else f"http://{url}").rstrip("/")
        self._headers = {"Accept": "application/json", "User-Agent": f"digits-client/{VERSION}"}
        if token:
            self._headers["Authorization"] = f"Token {token}"
        direct = {f"all://{host}": None for host in OWN_HOSTS}
        self._http = http or httpx.Client(timeout=timeout, mounts=direct)
        self._is_own = http is None

    def close(self) -> None:
        if self._is_own:
            self._http.close()

    def address(self, path: str) -> str:
        """The URL of a path of the API, or of an address that the server has named. Of the latter only the path counts:
        a server behind a proxy can name a host that is not reached from here, and no other host gets the token."""
        prefix = urlsplit(self.url).path
        if path.startswith(("http://", "https://")):
            path = urlunsplit(("", "", *urlsplit(path)[2:]))
        if prefix and path.startswith(f"{prefix}/"):
            path = path[len(prefix) :]
        return f"{self.url}/{path.lstrip('/')}"

    # --- requests ---------------------------------------------------------------------------------------------------
    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        fields: Mapping[str, Any] | None = None,
        content: Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        retries: bool = True,
        follow: bool = False,
    ) -> httpx.Response:
        """The response to a request. Raises an ApiError for a status of 400 or more, and ConnectionFailed."""
        with self._sent(
            method, path, params=params, fields=fields, content=content, headers=headers, retries=retries, follow=follow
        ) as response:
            self._read(response)
            return response

    def json(self, method: str, path: str, **options: Any) -> Any:
        """The JSON of the response to a request; of an action on a DIGITS wire format its text."""
        return value_of(self.request(method, path, **options))

    @contextmanager
    def stream(self, path: str, *, params: Mapping[str, Any] | None = None, **options: Any) -> Iterator[httpx.Response]:
        """The response to a GET whose body is read piece by piece."""
        with self._sent("GET", path, params=params, **options) as response:
            yield response

    def download(self, path: str, file: Path, *, params: Mapping[str, Any] | None = None, **options: Any) -> Path:
        """Write the response to a GET to a file, piece by piece. It gets its name when it is complete."""
        unfinished = file.with_name(f"{file.name}.part")
        try:
            with self.stream(path, params=params, **options) as response, unfinished.open("wb") as target:
                try:
                    for block in response.iter_bytes(BLOCK):
                        target.write(block)
                except httpx.TransportError as lost:
                    raise self._lost(lost) from lost
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
        return file

    # --- how ----------------------------------------------------------------------------------------------------------
    @contextmanager
    def _sent(self, method: str, path: str, *, retries: bool = True, **options: Any) -> Iterator[httpx.Response]:
        """The response without its body, after as many attempts as it takes."""
        for attempt in range(1, MAX_ATTEMPTS + 1):
            more = retries and attempt < MAX_ATTEMPTS
            with ExitStack() as opened:
                try:
                    response = self._attempt(opened, method, path, **options)
                except httpx.TransportError as lost:
                    if not (more and method in REPEATABLE):
                        raise self._lost(lost) from lost
                    wait = _pause(attempt)
                else:
                    opened.callback(response.close)
                    again = _seconds_until_retry(method, response, attempt) if more else None
                    if again is None:
                        if response.status_code >= 400:
                            self._read(response)
                            raise error_of(response)
                        yield response
                        return
                    wait = again
            time.sleep(wait)

    def _attempt(
        self,
        opened: ExitStack,
        method: str,
        path: str,
        params: Mapping[str, Any] | None = None,
        fields: Mapping[str, Any] | None = None,
        content: Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        follow: bool = False,
    ) -> httpx.Response:
        body: dict[str, Any] = {"content": content} if content is not None else {}
        if fields is not None:
            body = encoded(fields, opened)
        request = self._http.build_request(
            method,
            _with_query(self.address(path), params),
            headers={**self._headers, **(headers or {})},
            timeout=self._http.timeout if timeout is None else httpx.Timeout(10, read=timeout),
            **body,
        )
        return self._http.send(request, stream=True, follow_redirects=follow)

    def _read(self, response: httpx.Response) -> None:
        try:
            response.read()
        except httpx.TransportError as lost:
            raise self._lost(lost) from lost

    def _lost(self, cause: httpx.TransportError) -> ConnectionFailed:
        what = str(cause) or type(cause).__name__
        return ConnectionFailed(
            f"No response from {self.url} ({what}). Is the server running, and is its address right?"
        )


def _pause(attempt: int) -> float:
    return min(MAX_PAUSE, 0.5 * 2.0 ** (attempt - 1))


def _seconds_until_retry(method: str, response: httpx.Response, attempt: int) -> float | None:
    """When to send the request again; None if its response counts. A request that was refused because of a rate (429)
    did nothing, so any method can be repeated; a limit without a time, such as that of waiting jobs, does not go by."""
    seconds = seconds_of(response)
    if response.status_code == 429:
        return seconds if seconds is not None and seconds <= MAX_RETRY_AFTER else None
    if response.status_code in UNAVAILABLE and method in REPEATABLE:
        return _pause(attempt) if seconds is None else min(seconds, MAX_PAUSE)
    return None


def _with_query(address: str, params: Mapping[str, Any] | None) -> str:
    query = urlencode({name: plain(value) for name, value in (params or {}).items() if value is not None}, doseq=True)
    if not query:
        return address
    return f"{address}{'&' if '?' in address else '?'}{query}"


# --- fields -----------------------------------------------------------------------------------------------------------
def encoded(fields: Mapping[str, Any], opened: ExitStack) -> dict[str, Any]:
    """The body of a form, as httpx takes it: multipart if it has files, else JSON. A pathlib.Path is a file of this
    computer and bytes are the content of one; a str is always sent as it is. None leaves the field out."""
    sent = {name: value for name, value in fields.items() if value is not None}
    files = {name: value for name, value in sent.items() if isinstance(value, (os.PathLike, bytes))}
    others = {name: plain(value, is_list=name.endswith("[]")) for name, value in sent.items() if name not in files}
    if not files:
        return {"json": others}
    parts = {name: _file(name, value, opened) for name, value in files.items()}
    return {"data": {name: _text(value) for name, value in others.items()}, "files": parts}


def plain(value: Any, *, is_list: bool = False) -> Any:
    """A value as the server takes it: a job is its id, a list its values with commas between them."""
    if isinstance(value, (list, tuple)):
        values = [plain(each) for each in value]
        return values if is_list else ",".join(map(str, values))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return getattr(value, "id", value)


def _text(value: Any) -> Any:
    return [str(each) for each in value] if isinstance(value, list) else str(value)


def _file(name: str, value: os.PathLike[str] | bytes, opened: ExitStack) -> tuple[str, Any]:
    if isinstance(value, bytes):
        return name, value
    path = Path(value)
    if path.is_dir():
        raise IsADirectoryError(
            f"{name}: {path} is a folder of this computer. datasets.create_from_folder() sends a folder; a folder of "
            "the server is written as a str."
        )
    return path.name, opened.enter_context(path.open("rb"))


def value_of(response: httpx.Response) -> Any:
    """The body of a response: the value of JSON, a text as str, anything else as bytes."""
    kind = response.headers.get("Content-Type", "").partition(";")[0]
    if kind.endswith("json"):
        return response.json()
    return response.text if kind.startswith("text/") or kind.endswith("xml") else response.content
