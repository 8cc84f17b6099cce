"""Sends files and folders in pieces (the tus protocol), and goes on where it stopped."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from digits_client.connection import Connection
from digits_client.errors import ApiError, ConnectionFailed
from digits_client.folder_tar import FileSource, FolderTar, Source
from digits_client.progress import Bar, duration, megabytes

PIECE = 8 << 20  # bytes; one piece at a time is in memory
MAX_PAUSE = 30.0  # seconds between two attempts
PATIENCE = 600.0  # seconds without a piece that arrives, after which an upload gives up
AGAIN = (408, 409, 423, 425, 429, 460, 500, 502, 503, 504)  # statuses after which another try can succeed
VERSION = {"Tus-Resumable": "1.0.0"}
PIECE_TYPE = "application/offset+octet-stream"


@dataclass(frozen=True)
class Upload:
    """A file that the server has received, or receives: `offset` of its `length` bytes have arrived. The server removes
    it when a dataset was made of it, or a week after its last piece."""

    id: str
    name: str
    length: int
    offset: int
    complete: bool


class Uploads:
    """The files that you are sending to the server, or have sent and not used yet."""

    def __init__(self, connection: Connection):
        self._connection = connection

    def send(
        self, path: str | os.PathLike[str], *, progress: bool = True, piece: int = PIECE, patience: float = PATIENCE
    ) -> Upload:
        """Send a file, or a folder as one tar, in pieces. If the connection is lost it waits and goes on, for at most
        `patience` seconds without any progress; call it again for the same files to go on after that, also in another
        process."""
        source = source_of(Path(path))
        with Bar(source.name, enabled=progress) as bar:
            return _Sending(self._connection, source, piece, patience, _reporter(bar, source.length)).run()

    def list(self) -> Sequence[Upload]:
        """Your uploads."""
        return [upload_of(facts) for facts in self._connection.json("GET", "/uploads")["uploads"]]

    def get(self, upload: Upload | str) -> Upload:
        """An upload by its id."""
        return upload_of(self._connection.json("GET", f"/uploads/{_id_of(upload)}"))

    def delete(self, upload: Upload | str) -> None:
        """Remove an upload that no dataset has used."""
        self._connection.request("DELETE", f"/uploads/{_id_of(upload)}", headers=VERSION)


def source_of(path: Path) -> Source:
    """What is sent for a path: a file as it is, a folder as a tar. Raises FileNotFoundError."""
    return FolderTar(path) if path.is_dir() else FileSource(path)


def upload_of(facts: dict[str, Any]) -> Upload:
    return Upload(facts["id"], facts["name"], facts["length"], facts["offset"], facts["complete"])


def _id_of(upload: Upload | str) -> str:
    return upload.id if isinstance(upload, Upload) else upload


class _Sending:
    """One upload in progress."""

    def __init__(
        self,
        connection: Connection,
        source: Source,
        piece: int,
        patience: float,
        report: Callable[[str, int], None],
    ):
        self._connection = connection
        self._source = source
        self._piece = piece
        self._patience = patience
        self._report = report
        self._metadata = ",".join(f"{name} {_base64(text)}" for name, text in self._described().items())
        self._moved_at = time.monotonic()

    def _described(self) -> dict[str, str]:
        return {"filename": self._source.name, "fingerprint": self._source.fingerprint}

    def run(self) -> Upload:
        key, offset = self._patiently(self._found_or_begun)
        while offset < self._source.length:
            self._report("sending", offset)
            offset = self._patiently(self._next_piece, key, offset)
        self._report("sent", offset)
        return Upload(key, self._source.name, self._source.length, offset, True)

    def _patiently(self, step: Callable[..., Any], *arguments: Any) -> Any:
        """The result of a step, which is repeated while another try can succeed."""
        pause = 0.5
        while True:
            try:
                result = step(*arguments)
            except (ConnectionFailed, ApiError) as failure:
                waited = time.monotonic() - self._moved_at
                if not _can_succeed(failure) or waited + pause > self._patience:
                    raise
                self._report(f"waits for the server ({failure})", arguments[-1] if arguments else 0)
                time.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE)
            else:
                self._moved_at = time.monotonic()
                return result

    def _found_or_begun(self) -> tuple[str, int]:
        """(id, offset) of an upload of the same content that was begun before, else of a new one."""
        for facts in self._connection.json("GET", "/uploads")["uploads"]:
            if (facts["name"], facts["length"]) == (self._source.name, self._source.length):
                about = self._asked(facts["id"])
                if about["Upload-Metadata"] == self._metadata:
                    return facts["id"], int(about["Upload-Offset"])
        headers = {**VERSION, "Upload-Length": str(self._source.length), "Upload-Metadata": self._metadata}
        response = self._connection.request("POST", "/uploads", headers=headers)
        return response.headers["Location"].rpartition("/")[2], 0

    def _next_piece(self, key: str, offset: int) -> int:
        """Send the piece at this offset, or at the server's own if that is another. Returns the new offset."""
        data = self._source.read(offset, min(self._piece, self._source.length - offset))
        headers = {
            **VERSION,
            "Upload-Offset": str(offset),
            "Upload-Checksum": f"sha1 {_base64(hashlib.sha1(data, usedforsecurity=False).digest())}",
            "Content-Type": PIECE_TYPE,
            "Content-Length": str(len(data)),
        }
        try:  # as an iterator, because httpx would hold the bytes of several requests, in cycles of references
            response = self._connection.request(
                "PATCH", f"/uploads/{key}", content=iter([data]), headers=headers, retries=False
            )
        except (ConnectionFailed, ApiError) as failure:
            if not _can_succeed(failure):
                raise
            arrived = int(self._asked(key)["Upload-Offset"])  # perhaps the piece came, and its response was lost
            if arrived == offset:
                raise
            return arrived
        return int(response.headers["Upload-Offset"])

    def _asked(self, key: str) -> dict[str, str]:
        response = self._connection.request("HEAD", f"/uploads/{key}", headers=VERSION)
        return {name: response.headers.get(name, "") for name in ("Upload-Offset", "Upload-Metadata")}


def _can_succeed(failure: Exception) -> bool:
    return isinstance(failure, ConnectionFailed) or getattr(failure, "status", 0) in AGAIN


def _reporter(bar: Bar, length: int) -> Callable[[str, int], None]:
    """A function that shows how many bytes have arrived, how fast, and how long the rest takes."""
    began, first = time.monotonic(), -1

    def report(state: str, offset: int) -> None:
        nonlocal first
        first = offset if first < 0 else first
        seconds = time.monotonic() - began
        rate = (offset - first) / seconds if seconds > 0 else 0.0
        facts = [f"{megabytes(offset)} of {megabytes(length)}"]
        if rate > 0:
            facts.append(f"{megabytes(rate)}/s")
        if rate > 0 and offset < length:
            facts.append(f"{duration((length - offset) / rate)} left")
        bar.show(state, offset / length if length else 1.0, *facts, final=offset == length)

    return report


def _base64(text: str | bytes) -> str:
    return base64.b64encode(text if isinstance(text, bytes) else text.encode("utf-8", "replace")).decode()
