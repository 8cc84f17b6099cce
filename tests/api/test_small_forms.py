"""Small multipart forms are parsed to the fields and files to which Django's own parser parses them."""

import itertools
from io import BytesIO

import pytest
from django.core.files.uploadhandler import MemoryFileUploadHandler
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParser, MultiPartParserError

from digits_project.api import small_forms
from digits_project.api.small_forms import SmallForm

FIELD = 'Content-Disposition: form-data; name="{}"'
FILE = 'Content-Disposition: form-data; name="{}"; filename="{}"'
PNG = "\r\nContent-Type: image/png"


def part(head, content):
    return head.encode() + b"\r\n\r\n" + content


def body(*parts, end=b"--\r\n", boundary=b"b"):
    return b"".join(b"--%b\r\n%b\r\n" % (boundary, part) for part in parts) + b"--" + boundary + end


PLAIN = {
    "a field": body(part(FIELD.format("job_id"), b"1")),
    "an empty field": body(part(FIELD.format("job_id"), b"")),
    "a field twice": body(part(FIELD.format("a"), b"1"), part(FIELD.format("a"), b"2")),
    "a field beyond ASCII": body(part(FIELD.format("name"), "Käfer 🐞".encode())),
    "a field that is no UTF-8": body(part(FIELD.format("name"), b"\xff\xfe")),
    "line ends in a field": body(part(FIELD.format("text"), b"\r\na\r\n\r\nb\r\n")),
    "dashes in a field": body(part(FIELD.format("text"), b"--\r\n--c\r\n--")),
    "a file": body(part(FILE.format("image_file", "a.png") + PNG, b"\x89PNG\r\n\r\n\0")),
    "an empty file": body(part(FILE.format("image_file", "a.png"), b"")),
    "a file twice": body(part(FILE.format("f", "a.png"), b"1"), part(FILE.format("f", "b.png") + PNG, b"2")),
    "fields and a file": body(
        part(FIELD.format("job_id"), b"1"), part(FILE.format("f", "a"), b"2"), part(FIELD.format("z"), b"3")
    ),
    "no line end after the last boundary": body(part(FIELD.format("a"), b"1"), end=b"--"),
    "nothing but the last boundary": b"--b--\r\n",
    "a field with a content type": body(part(FIELD.format("a") + "\r\nContent-Type: text/plain", b"1")),
}
ODD = {
    "a name with blanks": body(part(FIELD.format(" a "), b"1")),
    "a name with an escape": body(part(FIELD.format(r"a\"b"), b"1")),
    "a name without quotes": body(part("Content-Disposition: form-data; name=a", b"1")),
    "a name beyond ASCII": body(part(FIELD.format("Käfer"), b"1")),
    "an encoded name": body(part("Content-Disposition: form-data; name*=utf-8''K%C3%A4fer", b"1")),
    "a header in capitals": body(part(FIELD.format("a").upper(), b"1")),
    "a path as file name": body(part(FILE.format("f", "../../etc/passwd"), b"1")),
    "a path of Windows as file name": body(part(FILE.format("f", r"C:\a.png"), b"1")),
    "an entity in a file name": body(part(FILE.format("f", "&#47;a.png"), b"1")),
    "two dots as file name": body(part(FILE.format("f", ".."), b"1")),
    "an empty file name": body(part(FILE.format("f", ""), b"1")),
    "a charset of a file": body(part(FILE.format("f", "a.txt") + "\r\nContent-Type: text/x; charset=latin-1", b"1")),
    "base64": body(part(FIELD.format("a") + "\r\nContent-Transfer-Encoding: base64", b"MQ==")),
    "a further header": body(part(FIELD.format("a") + "\r\nX-More: 1", b"1")),
    "no headers": body(b"\r\n1"),
    "no content": body(FIELD.format("a").encode()),
    "a preamble": b"hello\r\n" + body(part(FIELD.format("a"), b"1")),
    "an epilogue": body(part(FIELD.format("a"), b"1")) + b"bye",
    "no last boundary": body(part(FIELD.format("a"), b"1"), end=b""),
    "the boundary in a field": body(part(FIELD.format("a"), b"1--b")),
    "a boundary that begins like it": body(part(FIELD.format("a"), b"1\r\n--bc\r\n2")),
    "a bare line feed": body(part(FIELD.format("a"), b"1")).replace(b"\r\n", b"\n"),
    "many fields": body(*(part(FIELD.format("a"), b"1") for _ in range(50))),
    "no boundary": b"hello",
}
ATTRIBUTES = ("name", "size", "content_type", "charset", "content_type_extra", "field_name")


def parsed(content, *handlers):
    """What MultiPartParser with these handlers returns of a body, as values that can be compared."""
    request = HttpRequest()
    request.upload_handlers = [handler(request) for handler in (*handlers, MemoryFileUploadHandler)]
    head = {"CONTENT_TYPE": "multipart/form-data; boundary=b", "CONTENT_LENGTH": str(len(content))}
    try:
        fields, files = MultiPartParser(head, BytesIO(content), request.upload_handlers, "utf-8").parse()
    except MultiPartParserError as error:
        return str(error)
    facts = [
        (name, type(file), file.read(), *(getattr(file, attribute) for attribute in ATTRIBUTES))
        for name, listed in files.lists()
        for file in listed
    ]
    return fields, facts


@pytest.mark.parametrize("content", [*PLAIN.values(), *ODD.values()], ids=[*PLAIN, *ODD])
def test_a_small_form_has_the_fields_and_files_of_djangos_parser(content):
    assert parsed(content, SmallForm) == parsed(content)


@pytest.mark.parametrize("content", PLAIN.values(), ids=PLAIN)
def test_a_plain_form_needs_no_parser_of_django(content):
    assert small_forms._parsed(content, b"--b") is not None


@pytest.mark.parametrize("content", ODD.values(), ids=ODD)
def test_an_odd_form_goes_to_djangos_parser(content):
    assert small_forms._parsed(content, b"--b") is None


def test_a_form_that_is_cut_anywhere_has_the_fields_and_files_of_djangos_parser():
    whole = PLAIN["fields and a file"]
    pieces = [whole[:length] for length in range(1, len(whole))]
    assert [parsed(piece, SmallForm) for piece in pieces] == [parsed(piece) for piece in pieces]


def test_a_form_with_any_byte_changed_has_the_fields_and_files_of_djangos_parser():
    whole = body(part(FIELD.format("a"), b"1"), part(FILE.format("f", "x.png") + PNG, b"2"))
    changed = [
        whole[:place] + byte + whole[place + 1 :]
        for place, byte in itertools.product(range(len(whole)), [b'"', b";", b"\r", b"\n", b"-", b" ", b"\\", b"\xc3"])
    ]
    assert [parsed(content, SmallForm) for content in changed] == [parsed(content) for content in changed]


def test_a_large_form_is_left_to_djangos_parser(monkeypatch):
    monkeypatch.setattr(small_forms, "MAX_BYTES", 10)
    monkeypatch.setattr(small_forms, "_parsed", None)
    assert parsed(PLAIN["a file"], SmallForm) == parsed(PLAIN["a file"])
