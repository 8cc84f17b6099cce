"""Limits the bodies of requests, and stores uploaded files."""

import fcntl
import os
import re
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from rest_framework.serializers import FileField, ValidationError

from digits_project.api.error_statuses import FIELDS_TOO_LARGE
from digits_project.api.exception_handler import refusal

BYTE_ORDER_MARK = "\ufeff"  # editors on Windows write it at the start of a file
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
ABANDONED_SECONDS = 24 * 3600  # longer than any upload takes
TAKES_FILES = ("/datasets/images/", "/models/images/", "/pretrained_models/")  # forms with files, after a login
PIECES, PIECE = "/uploads", "application/offset+octet-stream"  # the routes of the tus protocol, and its bodies
WITHOUT_LOGIN = re.compile(r"/(admin/)?log(in|out)(\.json)?/?")  # these forms are read without a login
MAX_ANONYMOUS_BODY = 32 << 10  # bytes
LOG_IN_FIRST = 401, "Log in first; without a login, a request's body has at most 32 KiB."
CHARSETS = ("utf-8", "utf8", "us-ascii", "ascii")


def limit_body(get_response):
    """Respond to a request that the web worker refused, or would have refused; its body was not read.

    Bodies must be UTF-8: a client that could choose the codec could choose an expensive one.
    """

    def middleware(request):
        refused = getattr(request.environ.get("wsgi.input"), "refused", None) or _refused(request)
        return get_response(request) if refused is None else refusal(*refused)

    return middleware


def limit(path: str, content_type: str) -> tuple[int, tuple[int, str]]:
    """The maximum size of a body in bytes, and the status and reason for a larger one."""
    if WITHOUT_LOGIN.fullmatch(path):
        return MAX_ANONYMOUS_BODY, (413, "A login request takes at most 32 KiB.")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == PIECE and path.startswith(PIECES):
        most, what = settings.DIGITS_MAX_UPLOAD << 20, "A piece of an upload takes at most {max_mib} MiB."
    elif media_type == "multipart/form-data" and path.startswith(TAKES_FILES):
        most, what = settings.DIGITS_MAX_UPLOAD << 20, "The form takes more than {max_mib} MiB with its files."
    else:
        most, what = settings.DATA_UPLOAD_MAX_MEMORY_SIZE, FIELDS_TOO_LARGE
    return most, (413, what.format(max_mib=most >> 20))


def _refused(request) -> tuple[int, str] | None:
    """Status and reason of a request that is refused; None if it is not."""
    charset = request.content_params.get("charset", "utf-8")
    if charset.strip("\"'").lower() not in CHARSETS:
        return 400, "The body must be UTF-8; leave the charset out of the Content-Type."
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit() and len(length) < 19):
        return 400, "The Content-Length is not a number."
    most, too_large = limit(request.path_info, request.content_type)
    return too_large if int(length) > most else None


class DiskUpload(TemporaryFileUploadHandler):
    """Stores a large uploaded file in the server's own folder, because /tmp can be in memory.

    Files that a killed server left there are removed at the next start, other old files at the next upload.
    """

    def new_file(self, *args, **kwargs):
        for path in Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir():
            with suppress(FileNotFoundError):  # another request has removed it
                if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()
        super().new_file(*args, **kwargs)
        fcntl.flock(self.file.fileno(), fcntl.LOCK_EX)  # home.remove_abandoned_uploads tests this lock
        if not os.fstat(self.file.fileno()).st_nlink:  # a web process that has just started was faster
            self.file.close()
            self.new_file(*args, **kwargs)

    def receive_data_chunk(self, raw_data, start):
        with self._removed_on_failure():
            return super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size):
        with self._removed_on_failure():
            return super().file_complete(file_size)

    @contextmanager
    def _removed_on_failure(self):
        """If the block fails, delete the incomplete file at once, because the disk is perhaps full."""
        try:
            yield
        except OSError:
            with suppress(OSError):
                self.file.close()
            raise


def decoded(raw: bytes) -> str:
    """The text of a file in UTF-8, with or without a byte order mark, or in UTF-16 with one, as PowerShell writes it.

    Raises UnicodeDecodeError.
    """
    return raw.decode("utf-16" if raw.startswith(UTF_16) else "utf-8-sig")


class Upload(FileField):
    """A file field with a maximum size in bytes."""

    def __init__(self, most_bytes: int, **kwargs):
        super().__init__(**kwargs)
        self.most_bytes = most_bytes

    def to_internal_value(self, data):
        upload = super().to_internal_value(data)
        if upload.size > self.most_bytes:
            raise ValidationError(f"This file has more than {self.most_bytes >> 20} MiB.")
        return upload
