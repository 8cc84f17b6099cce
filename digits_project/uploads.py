"""Bodies of requests: how large they may be, and where the files in them go."""

import re
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from rest_framework.serializers import FileField, ValidationError

from digits_project.refusals import FIELDS_TOO_LARGE, refusal

BYTE_ORDER_MARK = "\ufeff"  # what Windows' editors write before a text
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
ABANDONED_SECONDS = 24 * 3600  # no upload takes as long
TAKES_FILES = ("/datasets/images/", "/models/images/")  # whose forms do, for who has logged in
FOR_STRANGERS = re.compile(r"/(admin/)?log(in|out)(\.json)?/?")  # anybody may send these, and they are read for anybody
MOST_OF_STRANGERS = 32 << 10  # so that webworker.py waits for all of it without a thread


def limit_body(get_response):
    """A body whose head says that it is too large, or does not say how large it is, is refused unread."""

    def middleware(request):
        why = _too_large(request)
        return get_response(request) if why is None else refusal(*why)

    return middleware


def _too_large(request) -> tuple[int, str] | None:
    """Status and reason, if it is refused."""
    if request.META.get("HTTP_TRANSFER_ENCODING"):
        return 411, "Send the body in one piece, with its length (Content-Length), not in chunks."
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()):
        return 400, "The Content-Length is no number."
    if FOR_STRANGERS.fullmatch(request.path_info):
        return (413, "A name and a password take less.") if int(length) > MOST_OF_STRANGERS else None
    if request.content_type == "multipart/form-data" and request.path_info.startswith(TAKES_FILES):
        most, what = settings.DIGITS_MAX_UPLOAD << 20, "The form takes more than {} MiB with its files."
    else:
        most, what = settings.DATA_UPLOAD_MAX_MEMORY_SIZE, FIELDS_TOO_LARGE
    return (413, what.format(most >> 20)) if int(length) > most else None


class DiskUpload(TemporaryFileUploadHandler):
    """A file that does not fit into memory goes to the server's own folder, not to /tmp, which may be memory too.

    What a killed server left there goes with the next upload.
    """

    def new_file(self, *args, **kwargs):
        for path in Path(settings.FILE_UPLOAD_TEMP_DIR).iterdir():
            with suppress(FileNotFoundError):  # another request was quicker
                if time.time() - path.stat().st_mtime > ABANDONED_SECONDS:
                    path.unlink()
        super().new_file(*args, **kwargs)

    def receive_data_chunk(self, raw_data, start):
        with self._gone_on_failure():
            return super().receive_data_chunk(raw_data, start)

    def file_complete(self, file_size):
        with self._gone_on_failure():
            return super().file_complete(file_size)

    @contextmanager
    def _gone_on_failure(self):
        """On a full disk every byte counts: what was written of the file goes at once."""
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
    """A file of at most so many bytes."""

    def __init__(self, most_bytes: int, **kwargs):
        super().__init__(**kwargs)
        self.most_bytes = most_bytes

    def to_internal_value(self, data):
        upload = super().to_internal_value(data)
        if upload.size > self.most_bytes:
            raise ValidationError(f"This file has more than {self.most_bytes >> 20} MiB.")
        return upload
