"""Limits of the size of a request: by its Content-Length, by its files and by its fields."""

import fcntl
import io
import os
import time
from pathlib import Path

import pytest
from django.test.client import encode_multipart

from digits_project.api.uploads import ABANDONED_SECONDS, DiskUpload, Upload
from digits_project.stack.home import remove_abandoned_uploads
from inference.api.serializers import OneImageForm

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("small_uploads")]
ROUTES = [
    "/datasets/images/classification.json",
    "/datasets/images/generic.json",
    "/models/images/classification.json",
    "/models/images/classification/classify_one.json",
    "/models/images/classification/classify_many.json",
    "/models/images/generic/infer_one.json",
]
WITHOUT_FILES = [
    "/admin/datasets/dataset/",
    "/models/visualize-network",
    "/jobs/20260101-000000-0000",
    "/no/such/route",
]


class UnreadableBody(io.RawIOBase):
    """A body that fails the test if it is read."""

    def read(self, size=-1):
        raise AssertionError("the body was read")

    readline = read


@pytest.fixture
def small_uploads(open_server, settings):
    """An open server that accepts files of at most 2 MiB."""
    settings.DIGITS_MAX_UPLOAD = 2


def post_unread_body(client, route, length, content_type, **headers):
    environ = {"CONTENT_LENGTH": str(length), "CONTENT_TYPE": content_type, "wsgi.input": UnreadableBody()} | headers
    response = client.request(REQUEST_METHOD="POST", PATH_INFO=route, **environ)
    return response.status_code, response.json()["error"]


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_with_a_too_large_content_length_is_rejected_unread(client, route):
    status, error = post_unread_body(client, route, (2 << 20) + 1, "multipart/form-data; boundary=x")
    assert (status, error["message"]) == (413, "413: Request Entity Too Large")
    assert "more than 2 MiB" in error["description"]
    for content_type in ("application/json", "application/x-www-form-urlencoded", "text/plain", ""):
        status, error = post_unread_body(client, route, (16 << 20) + 1, content_type)
        assert (status, "more than 16 MiB" in error["description"]) == (413, True)


@pytest.mark.parametrize("route", WITHOUT_FILES)
def test_routes_without_file_fields_have_the_smaller_body_limit(client, route):
    status, error = post_unread_body(client, route, (16 << 20) + 1, "multipart/form-data; boundary=x")
    assert (status, "more than 16 MiB" in error["description"]) == (413, True)


@pytest.mark.parametrize("route", ["/login", "/login.json", "/logout", "//login", "/admin/login/", "/admin/logout/"])
@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "application/json", "text/plain"])
def test_the_login_routes_have_a_small_body_limit(client, route, content_type):
    assert post_unread_body(client, route, (32 << 10) + 1, content_type)[0] == 413


@pytest.mark.parametrize("length", ["-1", "1e9", "٣", "0x10"])
def test_an_invalid_content_length_gets_400(client, length):
    assert post_unread_body(client, ROUTES[0], length, "application/json")[0] == 400


def form(**fields):
    return encode_multipart("x", fields), "multipart/form-data; boundary=x"


def test_a_file_within_the_limit_is_accepted(client):
    image = io.BytesIO(bytes(1 << 20))
    response = client.post(ROUTES[3], {"job_id": "20200101-000000-0000", "image_file": image})
    assert (response.status_code, response.json()["error"]["description"]) == (404, "Job not found")


def test_a_file_field_has_its_own_size_limit():
    image = io.BytesIO(bytes(2 << 20))
    field = Upload(1 << 20)
    image.name, image.size = "large.png", 2 << 20
    with pytest.raises(Exception, match="This file has more than 1 MiB"):
        field.run_validation(image)
    assert OneImageForm().fields["image_file"].most_bytes == 256 << 20


def test_uploaded_files_and_abandoned_ones_are_deleted_after_the_request(client, settings, tmp_path):
    settings.DIGITS_MAX_UPLOAD = 16
    folder = settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    folder.mkdir()
    abandoned, recent = folder / "old.upload", folder / "new.upload"
    for path, age in ((abandoned, ABANDONED_SECONDS + 60), (recent, 60)):
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    client.post(
        ROUTES[0], {"dataset_name": "x", "method": "textfile", "textfile_labels_file": io.BytesIO(bytes(4 << 20))}
    )
    assert list(folder.iterdir()) == [recent]


def test_an_upload_that_a_starting_web_process_removes_is_made_again(settings, tmp_path, monkeypatch):
    folder = settings.FILE_UPLOAD_TEMP_DIR = tmp_path

    def flock_too_late(*call):
        monkeypatch.undo()
        remove_abandoned_uploads(folder)
        fcntl.flock(*call)

    monkeypatch.setattr(fcntl, "flock", flock_too_late)
    upload = DiskUpload()
    upload.new_file("image_file", "photo.png", "image/png", 4)
    assert [Path(upload.file.temporary_file_path())] == list(folder.iterdir())
    upload.file.close()
