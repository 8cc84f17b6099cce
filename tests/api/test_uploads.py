"""How large a request may be: told by its head, by its files and by its fields."""

import io
import os
import time

import pytest
from django.test.client import encode_multipart

from digits_project.api.uploads import ABANDONED_SECONDS, Upload
from inference.api.serializers import OneImageForm

pytestmark = pytest.mark.django_db
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


class Unread(io.RawIOBase):
    """A body that nobody may read."""

    def read(self, size=-1):
        raise AssertionError("the body was read")

    readline = read


@pytest.fixture(autouse=True)
def _open_server(settings):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_MAX_UPLOAD = 2


def announced(client, route, length, content_type, **headers):
    head = {"CONTENT_LENGTH": str(length), "CONTENT_TYPE": content_type, "wsgi.input": Unread()} | headers
    answer = client.request(REQUEST_METHOD="POST", PATH_INFO=route, **head)
    return answer.status_code, answer.json()["error"]


@pytest.mark.parametrize("route", ROUTES)
def test_a_body_that_says_that_it_is_too_large_is_refused_unread_on_every_route(client, route):
    status, error = announced(client, route, (2 << 20) + 1, "multipart/form-data; boundary=x")
    assert (status, error["message"]) == (413, "413: Request Entity Too Large")
    assert "more than 2 MiB" in error["description"]
    for content_type in ("application/json", "application/x-www-form-urlencoded", "text/plain", ""):
        status, error = announced(client, route, (16 << 20) + 1, content_type)
        assert (status, "more than 16 MiB" in error["description"]) == (413, True)


@pytest.mark.parametrize("route", WITHOUT_FILES)
def test_only_forms_that_take_files_may_be_as_large_as_files(client, route):
    status, error = announced(client, route, (16 << 20) + 1, "multipart/form-data; boundary=x")
    assert (status, "more than 16 MiB" in error["description"]) == (413, True)


@pytest.mark.parametrize("route", ["/login", "/login.json", "/logout", "//login", "/admin/login/", "/admin/logout/"])
@pytest.mark.parametrize("content_type", ["multipart/form-data; boundary=x", "application/json", "text/plain"])
def test_what_is_read_for_anybody_is_short(client, route, content_type):
    assert announced(client, route, (32 << 10) + 1, content_type)[0] == 413


@pytest.mark.parametrize("length", ["-1", "1e9", "٣", "0x10"])
def test_a_length_that_is_no_number_is_refused(client, length):
    assert announced(client, ROUTES[0], length, "application/json")[0] == 400


def form(**fields):
    return encode_multipart("x", fields), "multipart/form-data; boundary=x"


def test_a_file_within_the_limit_is_taken(client):
    picture = io.BytesIO(bytes(1 << 20))
    answer = client.post(ROUTES[3], {"job_id": "20200101-000000-0000", "image_file": picture})
    assert (answer.status_code, answer.json()["error"]["description"]) == (404, "Job not found")


def test_a_field_of_a_file_has_a_limit_of_its_own():
    picture = io.BytesIO(bytes(2 << 20))
    field = Upload(1 << 20)
    picture.name, picture.size = "large.png", 2 << 20
    with pytest.raises(Exception, match="This file has more than 1 MiB"):
        field.run_validation(picture)
    assert OneImageForm().fields["image_file"].most_bytes == 256 << 20


def test_a_large_file_lies_in_the_servers_own_folder_and_is_gone_afterwards(client, settings, tmp_path):
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
