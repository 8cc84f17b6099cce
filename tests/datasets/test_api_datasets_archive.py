"""Datasets from archives over HTTP: uploaded with the form, or on the server."""

import io
import json

import pytest

from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project.jobs import services
from digits_project.jobs.models import Status
from tests.support.samples.archive_samples import digit_files, tar_of, zip_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/datasets/images/classification.json"
FORM = {"dataset_name": "digits", "resize_width": 8, "resize_height": 8, "resize_channels": 1}
PICTURES = digit_files("pets/")


@pytest.fixture
def create(client):
    """A function that posts the form and returns the new dataset, or {field: message} if the form is rejected."""

    def create(**fields):
        response = client.post(CREATE, FORM | fields)
        if response.status_code == 200:
            return Dataset.objects.get(pk=response.json()["job_id"])
        return {error["field"]: error["message"] for error in response.json()["errors"]}

    return create


def upload(content, name="pets.zip"):
    """A file to upload."""
    file = io.BytesIO(content)
    file.name = name
    return file


def build_job(dataset):
    build_dataset(dataset.pk)
    dataset.refresh_from_db()
    return dataset


@pytest.mark.parametrize("content", [zip_of(PICTURES), tar_of(PICTURES, "w:gz"), tar_of(PICTURES, "w:bz2")])
def test_an_uploaded_archive_becomes_a_dataset(create, content):
    dataset = build_job(create(archive_train=upload(content)))
    assert (dataset.status, dataset.error, dataset.archive_train) == (Status.DONE, "", "pets.zip")
    assert dataset.categories == ["0", "1"]
    assert sum(split["entries"] for split in dataset.splits) == 7
    assert "pets.zip/pets/0/0.png" in (dataset.directory / "train.txt").read_text()
    assert {path.name for path in dataset.directory.iterdir() if path.is_dir()} == set()
    assert not dataset.archive.exists()


def test_a_large_uploaded_archive_is_moved_to_the_folder_of_the_job(create, settings, tmp_path):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 100
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / "uploads"
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()
    dataset = create(archive_train=upload(zip_of(PICTURES)))
    assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []
    assert dataset.archive.stat().st_size == len(zip_of(PICTURES))
    assert build_job(dataset).status == Status.DONE


@pytest.mark.parametrize("field", ["folder_train", "folder_val"])
def test_the_folder_fields_accept_an_archive_on_the_server(create, tmp_path, field):
    archive = tmp_path / "pets.tar"
    archive.write_bytes(tar_of(PICTURES))
    train = {"archive_train": upload(zip_of(PICTURES)), "has_val_folder": "on"} if field == "folder_val" else {}
    dataset = build_job(create(**train, **{field: str(archive)}))
    assert (dataset.status, dataset.error) == (Status.DONE, "")
    assert dataset.entries("val") == (7 if field == "folder_val" else 2)
    assert archive.exists()


def test_an_archive_outside_the_data_roots_is_rejected(create, settings, tmp_path):
    (tmp_path / "pets.tar").write_bytes(tar_of(PICTURES))
    settings.DIGITS_DATA_ROOTS = [tmp_path / "data"]
    assert "may read" in create(folder_train=str(tmp_path / "pets.tar"))["folder_train"]


def test_a_job_with_a_hostile_archive_fails_and_keeps_no_files(create):
    dataset = build_job(create(archive_train=upload(zip_of([*PICTURES.items(), ("../../evil.png", b"")]))))
    assert dataset.status == Status.ERROR
    assert dataset.error == "pets.zip can't be used: '../../evil.png' leads out of the archive."
    assert {path.name for path in dataset.directory.iterdir()} == {"archive"}


def test_a_failed_job_can_be_resumed_with_its_archive(create):
    dataset = create(archive_train=upload(zip_of(PICTURES)))
    content = dataset.archive.read_bytes()
    dataset.archive.write_bytes(content[:500])
    assert build_job(dataset).status == Status.ERROR
    dataset.archive.write_bytes(content)
    services.resume(dataset)
    assert build_job(dataset).status == Status.DONE


@pytest.mark.parametrize(
    "fields, field, message",
    [
        (
            {"archive_train": upload(b"no archive")},
            "archive_train",
            "pets.zip is not an archive. Send a zip, tar, tar.gz or",
        ),
        ({"archive_train": upload(b"")}, "archive_train", "empty"),
        ({"archive_train": "pets.zip"}, "archive_train", "not a file"),
        ({}, "folder_train", "This field is required."),
        ({"archive_train": ""}, "folder_train", "This field is required."),
    ],
)
def test_a_form_with_an_invalid_archive_is_rejected(create, fields, field, message):
    assert message in create(**fields)[field]
    assert Dataset.objects.count() == 0


def test_a_form_with_both_an_archive_and_a_folder_is_rejected(create, tmp_path):
    (tmp_path / "pets.tar").write_bytes(tar_of(PICTURES))
    both = {"archive_train": upload(zip_of(PICTURES)), "folder_train": str(tmp_path / "pets.tar")}
    assert "not both" in create(**both)["archive_train"]


@pytest.mark.parametrize("name", ["../../../evil.zip", "a\tb.zip", "é" * 300 + ".zip", "con\r\nx.zip", "\ud800.zip"])
def test_the_file_name_of_an_archive_is_not_used_as_a_path(client, settings, name):
    content = zip_of(PICTURES).decode("latin-1")
    body = f'--b\r\nContent-Disposition: form-data; name="archive_train"; filename="{name}"\r\n\r\n'
    body = body.encode("utf-8", "surrogatepass") + content.encode("latin-1") + b"\r\n"
    body += b"".join(
        f'--b\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'.encode()
        for key, value in FORM.items()
    )
    response = client.generic("POST", CREATE, body + b"--b--\r\n", content_type="multipart/form-data; boundary=b")
    assert response.status_code in (200, 400), json.loads(response.content)
    assert all("/" not in dataset.archive_train for dataset in Dataset.objects.all())
    assert {path.parent.name for path in settings.DIGITS_JOBS_DIR.rglob("archive")} == {
        dataset.pk for dataset in Dataset.objects.all()
    }
