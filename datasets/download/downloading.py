"""Downloads a published file over HTTP. Resumes interrupted downloads and checks the file's digest."""

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from digits_project.common.errors import BadInput, Failed

BLOCK = 1 << 18
MAX_BYTES = 1 << 30  # over five times the largest known file
TRIES = 5
SECONDS = 60  # timeout while no byte arrives
NOT_SATISFIABLE = 416

Report = Callable[[int, int | None], None]  # called with the bytes received and the file's size, if that is known


def digest(path: Path) -> str:
    """The file's MD5, because publishers give that digest. It detects damage, but no attack."""
    found = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found.update(block)
    return found.hexdigest()


def download(url: str, expected: str, path: Path, report: Report, digest_of: Callable[[Path], str] = digest) -> None:
    """Download the file to `path`. Raises BadInput for an invalid URL, Failed for any other error.

    `expected`: the digest of the published file, or its start.
    The received bytes stay beside it as .part, even if the process is killed; the next call requests only the rest.
    """
    if not url.startswith(("http://", "https://")):
        raise BadInput(f"{url} is not an http or https address.")
    if path.exists() and digest_of(path).startswith(expected):
        return
    part = path.with_name(f"{path.name}.part")
    for attempt in range(TRIES):
        try:
            _fetch_rest(url, part, report)
            break
        except (urllib.error.URLError, http.client.HTTPException, OSError) as trouble:
            final = isinstance(trouble, urllib.error.HTTPError) and trouble.code < 500
            if final or attempt == TRIES - 1:
                raise Failed(f"{url} can't be fetched: {trouble}. Use --mirror to name another address.") from trouble
    if not (found := digest_of(part)).startswith(expected):
        part.unlink()
        raise Failed(
            f"{url} is not the published file: its digest is {found}, not {expected}. Use --mirror to name another "
            "address."
        )
    part.replace(path)


def _fetch_rest(url: str, part: Path, report: Report) -> None:
    """Append the missing bytes; start from the beginning if the server does not send ranges."""
    here = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={here}-"} if here else {})
    try:
        response = urllib.request.urlopen(request, timeout=SECONDS)  # nosec B310 - download() lets http and https through
    except urllib.error.HTTPError as refusal:
        refusal.close()
        if refusal.code == NOT_SATISFIABLE:  # we have the whole file, or more; the digest check decides
            return
        raise
    with response:
        goes_on = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {here}-")
        here = here if goes_on else 0
        length = response.headers.get("Content-Length")
        total = here + int(length) if length else None
        with part.open("ab" if goes_on else "wb") as file:
            while block := response.read(BLOCK):
                file.write(block)
                here += len(block)
                if here > MAX_BYTES:
                    raise Failed(f"{url} is larger than the largest published file.")
                report(here, total)
    if total is not None and here < total:
        raise http.client.IncompleteRead(b"", total - here)
