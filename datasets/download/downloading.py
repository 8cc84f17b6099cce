"""Downloads a published file over HTTP. Resumes interrupted downloads and checks the file's digest."""

import hashlib
import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

from digits_project.common.errors import BadInput, Failed

BLOCK = 1 << 18
MAX_BYTES = 1 << 30  # almost twice the largest known file
MAX_REDIRECTS = 5
TRIES = 5
SECONDS = 60  # timeout while no byte arrives
NOT_SATISFIABLE = 416
REDIRECTS = (301, 302, 303, 307, 308)
SHA256 = re.compile(r"[0-9a-f]{64}")
MIRROR = "Use --mirror to name another address."

Report = Callable[[int, int | None], None]  # called with the bytes received and the file's size, if that is known
TROUBLE = (urllib.error.URLError, http.client.HTTPException, OSError)


def digest(path: Path) -> str:
    """The file's MD5, because publishers give that digest. It detects damage, but no attack."""
    found = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the host of the first URL and to hosts of `domains`, but never from https to http. Raises
    Failed for any other."""

    max_redirections = MAX_REDIRECTS

    def __init__(self, url: str, domains: Sequence[str] = ()):
        self._first = urlsplit(url)
        self._domains = domains

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        try:
            self.check(newurl)
        except Failed:
            fp.close()
            raise
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def check(self, url: str) -> None:
        """Raise Failed for a URL that is not followed."""
        found = urlsplit(url)
        host = found.hostname or ""
        is_allowed = found.netloc == self._first.netloc or any(
            host == domain or host.endswith(f".{domain}") for domain in self._domains
        )
        if not is_allowed or found.scheme not in ("https", self._first.scheme):
            raise Failed(f"{self._first.geturl()} redirects to {host[:100]!r}, from which nothing is fetched. {MIRROR}")


class _Unfollowed(urllib.request.HTTPRedirectHandler):
    """Raises HTTPError for a redirect, with the headers of the response."""

    def redirect_request(self, *arguments: object, **others: object) -> None:
        return None


def download(
    url: str,
    expected: str,
    path: Path,
    report: Report,
    digest_of: Callable[[Path], str] = digest,
    redirects: urllib.request.HTTPRedirectHandler | None = None,
) -> None:
    """Download the file to `path`. Raises BadInput for an invalid URL, Failed for any other error.

    `expected`: the digest of the published file, or its start. `redirects`: which are followed; None: all.
    The received bytes stay beside it as .part, even if the process is killed; the next call requests only the rest.
    """
    _check(url)
    if path.exists() and digest_of(path).startswith(expected):
        return
    part = path.with_name(f"{path.name}.part")
    opener = urllib.request.build_opener(*([redirects] if redirects else []))
    for attempt in range(TRIES):
        try:
            _fetch_rest(opener, url, part, report)
            break
        except TROUBLE as trouble:
            final = isinstance(trouble, urllib.error.HTTPError) and trouble.code < 500
            if final or attempt == TRIES - 1:
                raise _failed(url, trouble) from trouble
    if not (found := digest_of(part)).startswith(expected):
        part.unlink()
        raise Failed(f"{url} is not the published file: its digest is {found}, not {expected}. {MIRROR}")
    part.replace(path)


def reported_sha256(url: str, redirects: Redirects) -> str:
    """The SHA-256 that a model hub reports for a file, in the header X-Linked-ETag of its own response: that of the
    host to which it redirects has another ETag. Raises BadInput for an invalid URL, Failed for any other error."""
    _check(url)
    opener = urllib.request.build_opener(_Unfollowed)
    here = url
    for _ in range(MAX_REDIRECTS):
        headers = _head(opener, here, url)
        found = str(headers.get("X-Linked-ETag", "")).removeprefix("W/").strip('"').lower()
        if SHA256.fullmatch(found):
            return found
        if not (location := headers.get("Location")):
            break
        here = urljoin(here, location)
        redirects.check(here)
    raise Failed(f"{url} has no X-Linked-ETag with the SHA-256 of the file. Name the digest with --sha256.")


def _check(url: str) -> None:
    if not url.startswith(("http://", "https://")):
        raise BadInput(f"{url} is not an http or https address.")


def _failed(url: str, trouble: BaseException) -> Failed:
    return Failed(f"{url} can't be fetched: {trouble}. {MIRROR}")


def _head(opener: urllib.request.OpenerDirector, here: str, url: str) -> Message:
    """The headers of the response to HEAD, which can be a redirect."""
    try:
        with opener.open(urllib.request.Request(here, method="HEAD"), timeout=SECONDS) as response:
            return response.headers
    except urllib.error.HTTPError as response:
        response.close()
        if response.code in REDIRECTS:
            return response.headers
        raise _failed(url, response) from response
    except TROUBLE as trouble:
        raise _failed(url, trouble) from trouble


def _fetch_rest(opener: urllib.request.OpenerDirector, url: str, part: Path, report: Report) -> None:
    """Append the missing bytes; start from the beginning if the server does not send ranges."""
    here = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={here}-"} if here else {})
    try:
        response = opener.open(request, timeout=SECONDS)
    except urllib.error.HTTPError as refusal:
        refusal.close()  # also the response of a redirect that leads in a circle
        if refusal.code == NOT_SATISFIABLE:  # we have the whole file, or more; the digest check decides
            return
        raise
    with response:
        goes_on = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {here}-")
        here = here if goes_on else 0
        total = None if response.length is None else here + response.length
        _refuse_large(url, total or 0)
        with part.open("ab" if goes_on else "wb") as file:
            while block := response.read(BLOCK):
                file.write(block)
                here += len(block)
                _refuse_large(url, here)
                report(here, total)
    if total is not None and here < total:
        raise http.client.IncompleteRead(b"", total - here)


def _refuse_large(url: str, size: int) -> None:
    if size > MAX_BYTES:
        raise Failed(f"{url} is larger than the largest published file.")
