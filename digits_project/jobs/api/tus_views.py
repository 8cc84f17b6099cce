"""The routes by which clients send large files in pieces, and go on after an interruption: the tus protocol."""

import errno
import os
import shutil

from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse
from rest_framework.exceptions import NotFound
from rest_framework.response import Response
from rest_framework.views import APIView

from digits_project.accounts import permissions, usernames
from digits_project.accounts.roles import Role
from digits_project.api.error_statuses import Conflict
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.common.errors import DiskLimitReached, LimitReached
from digits_project.jobs import limits
from digits_project.jobs.api import tus_headers
from digits_project.received import received_file
from digits_project.received.received_file import Busy, ReceivedFile, WrongChecksum, WrongOffset

MAX_FILES = 1000  # of one owner at a time


class TusView(APIView):
    """What both routes share: the version, the method of clients that can't send every method, and the headers."""

    renderer_classes = (PrettyJSONRenderer,)
    role = reading_role = Role.USER
    schema = None  # the protocol has a specification of its own

    def initialize_request(self, request, *args, **kwargs):
        # The protocol lets clients that can only POST name the method in a header.
        named = request.headers.get("X-HTTP-Method-Override", "").upper()
        if request.method == "POST" and named in ("PATCH", "DELETE", "HEAD"):
            request.method = named
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request, *args, **kwargs):
        super().initial(request, *args, **kwargs)
        if request.method not in ("OPTIONS", "GET"):
            tus_headers.check_version(request)

    def finalize_response(self, request, response, *args, **kwargs):
        response = super().finalize_response(request, response, *args, **kwargs)
        response.headers["Tus-Resumable"] = tus_headers.VERSION
        response.headers["Cache-Control"] = "no-store"
        if response.status_code == tus_headers.OtherVersion.status_code:
            response.headers["Tus-Version"] = tus_headers.VERSION
        return response

    def options(self, request, *args, **kwargs):
        return HttpResponse(status=204, headers=tus_headers.of_server())


class ReceivedFiles(TusView):
    """The files that the client is sending, or has sent and not used yet. POST begins another one."""

    def get(self, request):
        return Response({"uploads": [_facts(received) for received in received_file.received_from(_owner(request))]})

    def post(self, request):
        owner, length = _owner(request), tus_headers.number(request, "Upload-Length")
        has_piece = request.headers.get("Content-Length", "0") != "0"
        if has_piece:
            tus_headers.check_piece(request)
        _check_room(owner, length)
        name, metadata, checksum = (
            tus_headers.file_name(request),
            tus_headers.metadata(request),
            tus_headers.checksum(request),
        )
        received = received_file.begin(owner, length, name, metadata)
        if has_piece:
            try:
                _append(received, 0, request, checksum)
            except BaseException:
                received.delete()  # the client does not learn its address
                raise
        headers = tus_headers.of_file(received) | {"Location": reverse("upload", args=[received.key])}
        return HttpResponse(status=201, headers=headers)


class ReceivedFileView(TusView):
    """One file: HEAD gives its offset, PATCH appends a piece, DELETE removes it."""

    def get(self, request, key):
        return Response(_facts(_find(request, key)))

    def head(self, request, key):
        received = _find(request, key)
        headers = tus_headers.of_file(received) | {"Upload-Length": str(received.length)}
        if received.metadata:
            headers["Upload-Metadata"] = received.metadata
        return HttpResponse(status=200, headers=headers)

    def patch(self, request, key):
        received = _find(request, key)
        tus_headers.check_piece(request)
        _append(received, tus_headers.number(request, "Upload-Offset"), request, tus_headers.checksum(request))
        return HttpResponse(status=204, headers=tus_headers.of_file(received))

    def delete(self, request, key):
        _find(request, key).delete()
        return HttpResponse(status=204)


def _owner(request) -> str:
    return usernames.owner(request)


def _find(request, key: str) -> ReceivedFile:
    """The client's own file; on an open server everybody's, as with jobs. Raises NotFound."""
    received = received_file.find(key)
    if received is None or (permissions.has_accounts() and received.owner != _owner(request)):
        raise NotFound("There is no such upload, or not any more; begin it again.")
    return received


def _append(received: ReceivedFile, offset: int, request, checksum) -> None:
    size = int(request.headers.get("Content-Length") or 0)
    if offset + size > received.length:
        raise tus_headers.TooLong(f"The piece goes beyond the end of the file, which has {received.length} bytes.")
    try:
        received.append(offset, request._request, size, checksum)
    except WrongOffset:
        raise Conflict(f"{received.offset} bytes have arrived; the next piece must begin there.") from None
    except Busy:
        raise tus_headers.BeingWritten from None
    except WrongChecksum:
        raise tus_headers.ChecksumMismatch from None


def _check_room(owner: str, length: int) -> None:
    """Raise an exception if a further file of this length is too large for the server, its disk or the owner."""
    if length > tus_headers.max_length():
        most = settings.DIGITS_MAX_UPLOAD
        raise tus_headers.TooLong(f"An upload has at most {most:,} MiB on this server (DIGITS_MAX_UPLOAD).")
    if len(received_file.received_from(owner)) >= MAX_FILES:
        raise LimitReached(f"{MAX_FILES} uploads of yours are not used yet; delete some of them, or use them.")
    left = limits.disk_left(owner)
    if left is not None and length > left:
        raise DiskLimitReached(
            f"The upload takes {_mib(length)} MiB, and you can use {_mib(max(left, 0))} MiB more "
            f"(DIGITS_MAX_OWNER_DISK is {settings.DIGITS_MAX_OWNER_DISK:,} MiB). Delete jobs, snapshots or uploads, "
            "then try again."
        )
    settings.DIGITS_JOBS_DIR.mkdir(parents=True, exist_ok=True)
    if length + received_file.missing_bytes() > shutil.disk_usage(settings.DIGITS_JOBS_DIR).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _mib(size: int) -> str:
    return f"{-(-size >> 20):,}"


def _facts(received: ReceivedFile) -> dict:
    return {
        "id": received.key,
        "name": received.name,
        "length": received.length,
        "offset": received.offset,
        "complete": received.is_complete,
    }
