"""The headers of the tus protocol, version 1.0.0 (https://tus.io/protocols/resumable-upload): read and written."""

import base64
import binascii
import hashlib
import re
from typing import Any

from django.conf import settings
from django.utils.http import http_date
from rest_framework.exceptions import APIException, UnsupportedMediaType

from digits_project.api.uploads import PIECE
from digits_project.common.errors import BadInput
from digits_project.received.received_file import ReceivedFile

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,expiration,termination"
ALGORITHMS = {"sha1": hashlib.sha1, "sha256": hashlib.sha256}
MAX_METADATA = 4096  # characters
METADATA = re.compile(r"[!-+\--~]+( [A-Za-z0-9+/]*={0,2})?(, *[!-+\--~]+( [A-Za-z0-9+/]*={0,2})?)*")


class OtherVersion(APIException):
    """The client speaks another version of the protocol, or does not say which."""

    status_code = 412
    default_detail = f"Send the header Tus-Resumable: {VERSION}; this server speaks no other version of the protocol."


class TooLong(APIException):
    """The file, or a piece of it, is longer than allowed."""

    status_code = 413


class ChecksumMismatch(APIException):
    """The piece was changed on its way."""

    status_code = 460
    default_detail = (
        "The piece does not have the checksum that the request names; nothing of it was kept. Send it again."
    )


class BeingWritten(APIException):
    """Another request sends a piece of the same file."""

    status_code = 423
    default_detail = "Another request is sending a piece of this file. Ask for its offset in a moment, and go on there."


def check_version(request) -> None:
    """Raise OtherVersion unless the request is of our version."""
    if request.headers.get("Tus-Resumable") != VERSION:
        raise OtherVersion


def number(request, name: str) -> int:
    """The number in a header. Raises BadInput if it is missing or something else."""
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadInput(f"The header {name} must be a number of bytes, not {text[:50]!r}.")
    return int(text)


def file_name(request) -> str:
    """The name of the file by the header Upload-Metadata, without folders; "" if there is none. Raises BadInput."""
    for pair in metadata(request).split(","):
        key, _, value = pair.strip().partition(" ")
        if key in ("filename", "name"):
            return _shown_name(value)
    return ""


def metadata(request) -> str:
    """The header Upload-Metadata, checked. Raises BadInput."""
    text = request.headers.get("Upload-Metadata", "").strip()
    if text and (len(text) > MAX_METADATA or not METADATA.fullmatch(text)):
        raise BadInput(
            f"The header Upload-Metadata must be pairs of a name and a value in Base64, with commas between them, of "
            f"at most {MAX_METADATA} characters."
        )
    return text


def _shown_name(value: str) -> str:
    try:
        name = base64.b64decode(value, validate=True).decode(errors="replace")
    except (binascii.Error, ValueError) as wrong:
        raise BadInput("The file name in Upload-Metadata must be in Base64.") from wrong
    name = re.split(r"[/\\]", name)[-1]
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)


def checksum(request) -> tuple[Any, bytes] | None:
    """A new hash object and the digest that the piece must have; None if the request names none. Raises BadInput."""
    text = request.headers.get("Upload-Checksum")
    if text is None:
        return None
    name, _, digest = text.partition(" ")
    if name not in ALGORITHMS:
        raise BadInput(f"This server knows the checksums {', '.join(ALGORITHMS)}, not {name[:50]!r}.")
    try:
        return ALGORITHMS[name](usedforsecurity=False), base64.b64decode(digest, validate=True)
    except (binascii.Error, ValueError) as wrong:
        raise BadInput("The digest in Upload-Checksum must be in Base64.") from wrong


def check_piece(request) -> None:
    """Raise UnsupportedMediaType unless the body is a piece of a file."""
    if request.content_type.partition(";")[0].strip().lower() != PIECE:
        raise UnsupportedMediaType(request.content_type, f"The Content-Type of a piece is {PIECE}.")


def max_length() -> int:
    """The bytes that a file can have."""
    return settings.DIGITS_MAX_UPLOAD << 20


def of_server() -> dict[str, str]:
    """The headers that describe what the server can do."""
    return {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(max_length()),
        "Tus-Checksum-Algorithm": ",".join(ALGORITHMS),
    }


def of_file(received: ReceivedFile) -> dict[str, str]:
    """The headers that describe how much of a file has arrived, and until when it is kept."""
    return {"Upload-Offset": str(received.offset), "Upload-Expires": http_date(received.expires_at)}
