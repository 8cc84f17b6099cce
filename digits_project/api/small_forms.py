"""Parses small multipart forms as most clients write them, in a tenth of the time of Django's parser.

Django's parser is made for bodies of any size and handles each part as a stream. A small body is read as a whole; if
every part of it is plain (PLAIN_PART), it is split here, and otherwise Django's parser gets it.
"""

import re
from io import BytesIO

from django.core.files.uploadedfile import InMemoryUploadedFile, UploadedFile
from django.core.files.uploadhandler import FileUploadHandler
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParser
from django.utils.datastructures import MultiValueDict

MAX_BYTES = 1 << 20  # less than FILE_UPLOAD_MAX_MEMORY_SIZE: Django would keep the files in memory too
MAX_PARTS = 20
# Names without quotes, escapes, blanks at their ends or characters beyond ASCII: none has a second meaning.
PLAIN_PART = re.compile(
    rb'\r\nContent-Disposition: form-data; name="([\w.\[\]-]{1,100})"(?:; filename="(\w[\w.-]{0,199})")?'
    rb"(?:\r\nContent-Type: ([\w.+-]{1,60}/[\w.+-]{1,60}))?\r\n\r\n",
    re.ASCII,
)


class SmallForm(FileUploadHandler):
    """An upload handler, the first in FILE_UPLOAD_HANDLERS, that parses a whole body instead of one file."""

    request: HttpRequest

    def handle_raw_input(self, input_data, META, content_length, boundary, encoding=None):
        """The fields and the files of a small body; None for a larger one, which Django's parser reads."""
        if not 0 < content_length <= MAX_BYTES:
            return None
        body = input_data.read(content_length)
        if encoding == "utf-8" and (form := _parsed(body, b"--" + boundary)):
            return form
        others = [handler for handler in self.request.upload_handlers if handler is not self]
        return MultiPartParser(META, BytesIO(body), others, encoding).parse()

    def receive_data_chunk(self, raw_data, start):
        """Pass a file of a larger body to the next handler."""
        return raw_data

    def file_complete(self, file_size):
        """None: another handler has the file."""


def _parsed(body: bytes, delimiter: bytes) -> tuple[QueryDict, MultiValueDict] | None:
    """The fields and the files of a body; None if it is anything but plain parts."""
    start, *parts = (b"\r\n" + body).split(b"\r\n" + delimiter)
    if start or not parts or parts.pop() not in (b"--\r\n", b"--"):
        return None
    if len(parts) > MAX_PARTS or body.count(delimiter) != len(parts) + 1:
        return None
    fields, files = QueryDict(mutable=True), MultiValueDict[str, UploadedFile]()
    for part in parts:
        head = PLAIN_PART.match(part)
        if head is None:
            return None
        content = part[head.end() :]
        name, file_name, content_type = (value.decode("ascii") for value in head.groups(b""))
        if not file_name:
            fields.appendlist(name, content.decode(errors="replace"))
        else:
            upload = InMemoryUploadedFile(BytesIO(content), name, file_name, content_type, len(content), None, {})
            files.appendlist(name, upload)
    fields._mutable = False
    return fields, files
