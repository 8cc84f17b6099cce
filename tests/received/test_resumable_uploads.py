"""Files that are sent in pieces: the tus protocol, limits, interruptions, and removal."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import time
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.utils import timezone
from django.utils.http import parse_http_date

from digits_project.jobs.execution.reaper import tidy_or_leave
from digits_project.received import received_file
from tests.support.api_requests import make_account, token_header
from tests.support.server import ROOT, wait_until

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CONTENT = bytes(range(256)) * 40
LENGTH = len(CONTENT)
PIECE = "application/offset+octet-stream"


def encoded(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


@pytest.fixture
def tus(client):
    """A client of the protocol: begin() and the methods of an upload, with the headers that each has to have."""

    def send(method, address, body=b"", content_type=PIECE, **headers):
        named = {name.replace("_", "-"): str(value) for name, value in ({"Tus_Resumable": "1.0.0"} | headers).items()}
        return client.generic(method, address, body, content_type if body else "", headers=named)

    def begin(length=LENGTH, **headers):
        return send("POST", "/uploads", Upload_Length=length, **headers)

    def piece(address, offset, body, **headers):
        return send("PATCH", address, body, Upload_Offset=offset, **headers)

    def offset(address):
        return int(send("HEAD", address).headers["Upload-Offset"])

    return SimpleNamespace(send=send, begin=begin, piece=piece, offset=offset)


@pytest.fixture
def address(tus):
    """The address of an upload that was begun."""
    return tus.begin(Upload_Metadata=f"filename {encoded('../../photos.zip')},note").headers["Location"]


def content_of(address):
    return received_file.find(address.rpartition("/")[2]).content.read_bytes()


def test_the_pieces_of_an_upload_are_joined_in_order(tus, address, client):
    assert tus.piece(address, 0, CONTENT[:5000]).status_code == 204
    assert tus.offset(address) == 5000
    last = tus.piece(address, 5000, CONTENT[5000:])
    assert (last.status_code, last.headers["Upload-Offset"]) == (204, str(len(CONTENT)))
    assert content_of(address) == CONTENT
    facts = client.get(address).json()
    assert (facts["name"], facts["complete"]) == ("photos.zip", True)
    assert client.get("/uploads").json() == {"uploads": [facts]}


def test_a_head_request_gets_what_the_upload_was_begun_with(tus, address):
    response = tus.send("HEAD", address)
    assert response.headers["Upload-Length"] == str(len(CONTENT))
    assert response.headers["Upload-Metadata"] == f"filename {encoded('../../photos.zip')},note"
    assert response.headers["Cache-Control"] == "no-store"
    assert response.headers["Tus-Resumable"] == "1.0.0"


def test_a_piece_at_another_offset_changes_nothing(tus, address):
    tus.piece(address, 0, CONTENT[:100])
    for offset in (0, 99, 101):
        assert tus.piece(address, offset, CONTENT[:100]).status_code == 409
    assert tus.offset(address) == 100


def test_a_piece_beyond_the_end_is_refused(tus, address):
    assert tus.piece(address, 0, CONTENT + b"x").status_code == 413
    assert tus.offset(address) == 0


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_a_piece_is_kept_only_with_the_checksum_that_it_names(tus, address, algorithm):
    digest = encoded(hashlib.new(algorithm, CONTENT[:100]).digest())
    wrong = tus.piece(address, 0, CONTENT[1:101], Upload_Checksum=f"{algorithm} {digest}")
    assert (wrong.status_code, wrong.json()["error"]["message"]) == (460, "460: Checksum Mismatch")
    assert tus.offset(address) == 0
    assert tus.piece(address, 0, CONTENT[:100], Upload_Checksum=f"{algorithm} {digest}").status_code == 204
    assert tus.offset(address) == 100


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Tus_Resumable": "0.2.2"}, 412),
        ({"Upload_Offset": "-1"}, 400),
        ({"Upload_Checksum": "md5 AAAA"}, 400),
        ({"Upload_Checksum": "sha1 !"}, 400),
    ],
)
def test_a_piece_with_a_wrong_header_is_refused(tus, address, headers, status):
    response = tus.send("PATCH", address, CONTENT[:100], **({"Upload_Offset": 0} | headers))
    assert (response.status_code, tus.offset(address)) == (status, 0)
    assert ("Tus-Version" in response.headers) == (status == 412)


def test_a_piece_of_another_content_type_is_refused(tus, address):
    assert tus.send("PATCH", address, b"x", "application/json", Upload_Offset=0).status_code == 415


@pytest.mark.parametrize(
    "headers, status",
    [
        ({"Upload_Length": ""}, 400),
        ({"Upload_Length": 2**40}, 413),
        ({"Upload_Metadata": "filename abcde"}, 400),
        ({"Upload_Metadata": "filename,\N{SNOWMAN}"}, 400),
        ({"Upload_Metadata": "a" * 5000}, 400),
    ],
)
def test_an_upload_with_a_wrong_header_is_not_begun(tus, headers, status):
    assert tus.send("POST", "/uploads", **({"Upload_Length": 1} | headers)).status_code == status
    assert received_file.all_received() == []


def test_the_first_piece_can_come_with_the_request_that_begins_the_upload(tus):
    response = tus.send("POST", "/uploads", CONTENT[:70], Upload_Length=len(CONTENT))
    assert (response.status_code, response.headers["Upload-Offset"]) == (201, "70")
    assert content_of(response.headers["Location"]) == CONTENT[:70]


def test_a_client_that_can_only_post_names_the_method_in_a_header(tus, address):
    sent = tus.send("POST", address, CONTENT[:9], Upload_Offset=0, X_HTTP_Method_Override="PATCH")
    assert (sent.status_code, tus.offset(address)) == (204, 9)
    assert tus.send("POST", address, X_HTTP_Method_Override="DELETE").status_code == 204
    assert tus.send("HEAD", address).status_code == 404


def test_the_options_name_the_version_the_extensions_and_the_limits(client, settings):
    settings.DIGITS_MAX_UPLOAD = 3
    response = client.options("/uploads")
    assert response.status_code == 204
    assert response.headers["Tus-Version"] == "1.0.0"
    assert "checksum,expiration,termination" in response.headers["Tus-Extension"]
    assert response.headers["Tus-Max-Size"] == str(3 << 20)


def test_a_deleted_upload_leaves_nothing(tus, address):
    tus.piece(address, 0, CONTENT)
    assert tus.send("DELETE", address).status_code == 204
    assert tus.send("HEAD", address).status_code == 404
    assert list(received_file._folder().iterdir()) == []


@pytest.mark.parametrize("key", ["x", "0" * 32, "..%2F..", "0" * 31 + "G"])
def test_an_unknown_upload_is_not_found(tus, key):
    assert tus.send("HEAD", f"/uploads/{key}").status_code == 404


def test_an_upload_expires_a_week_after_its_last_piece(tus, address):
    expires = parse_http_date(tus.piece(address, 0, CONTENT[:9]).headers["Upload-Expires"])
    assert expires == pytest.approx((timezone.now() + timedelta(days=7)).timestamp(), abs=100)
    upload = received_file.find(address.rpartition("/")[2])
    tidy_or_leave()
    assert tus.offset(address) == 9
    os.utime(upload.content, (time.time() - received_file.LIFETIME - 60,) * 2)
    tidy_or_leave()
    assert tus.send("HEAD", address).status_code == 404
    assert not upload.folder.exists()


WRITE_UNTIL_KILLED = """
import hashlib, signal, sys
from pathlib import Path
from django.conf import settings
settings.configure(DIGITS_JOBS_DIR=Path(sys.argv[1]))
from digits_project.received import received_file

class Slow:
    sent = False
    def read(self, size):
        if self.sent:
            signal.pause()
        self.sent = True
        return b"x" * 1000

received_file.find(sys.argv[2]).append(5, Slow(), 2000, (hashlib.sha1(), b"") if sys.argv[3] == "checked" else None)
"""


@pytest.mark.parametrize("piece, kept", [("checked", 0), ("unchecked", 1000)])
def test_after_a_kill_of_the_server_an_upload_goes_on_with_what_is_sure(tus, address, settings, piece, kept):
    tus.piece(address, 0, b"first")
    upload = received_file.find(address.rpartition("/")[2])
    command = [sys.executable, "-c", WRITE_UNTIL_KILLED, str(settings.DIGITS_JOBS_DIR), upload.key, piece]
    writer = subprocess.Popen(command, cwd=ROOT)
    wait_until(lambda: upload.content.stat().st_size == 1005)
    assert tus.piece(address, tus.offset(address), b"other").status_code == 423
    writer.kill()
    writer.wait()
    assert tus.offset(address) == 5 + kept
    assert tus.piece(address, 5 + kept, b"last").status_code == 204
    assert content_of(address) == b"first" + b"x" * kept + b"last"


@pytest.fixture
def ugo(settings):
    """A user of a server with accounts."""
    settings.DIGITS_AUTH = "required"
    return token_header(make_account("ugo", "user"))


def test_only_its_owner_can_use_an_upload(tus, client, ugo):
    address = tus.begin(**ugo).headers["Location"]
    eva = token_header(make_account("eva", "operator"))
    assert tus.piece(address, 0, CONTENT, **ugo).status_code == 204
    assert tus.send("HEAD", address).status_code == 401
    assert tus.send("HEAD", address, **eva).status_code == 404
    assert tus.send("DELETE", address, **eva).status_code == 404
    assert client.get("/uploads", headers=eva).json() == {"uploads": []}


def test_a_viewer_cannot_begin_an_upload(tus, ugo):
    assert tus.begin(**token_header(make_account("vera", "viewer"))).status_code == 403


def test_an_upload_counts_among_the_bytes_of_its_owner_from_its_beginning(tus, client, ugo, settings):
    settings.DIGITS_MAX_OWNER_DISK = 1
    half = tus.begin(length=600 << 10, **ugo).headers["Location"]
    assert client.get("/account.json", headers=ugo).json()["disk_bytes"] == 600 << 10
    refused = tus.begin(length=600 << 10, **ugo)
    assert (refused.status_code, "DIGITS_MAX_OWNER_DISK" in refused.json()["error"]["description"]) == (507, True)
    tus.send("DELETE", half, **ugo)
    assert tus.begin(length=600 << 10, **ugo).status_code == 201


def test_an_upload_larger_than_the_free_disk_is_not_begun(tus, settings, monkeypatch):
    free = shutil.disk_usage("/")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: free)
    assert tus.begin(length=600).status_code == 201
    refused = tus.begin(length=600)
    assert (refused.status_code, "No space left" in refused.json()["error"]["description"]) == (507, True)
