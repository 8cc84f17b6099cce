"""Datasets from archives that were sent in pieces (/uploads)."""

import pytest

from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project.jobs.models import Status
from digits_project.received import received_file
from tests.support.api_requests import make_account, token_header
from tests.support.samples.archive_samples import digit_files, tar_of, zip_of

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/datasets/images/classification.json"
FORM = {"dataset_name": "digits", "resize_width": 8, "resize_height": 8, "resize_channels": 1}
PICTURES = digit_files("pets/")


@pytest.fixture
def create(client, django_capture_on_commit_callbacks):
    """A function that posts the form and returns the new dataset, or {field: message} if the form is rejected."""

    def create(headers=None, **fields):
        with django_capture_on_commit_callbacks(execute=True):
            response = client.post(CREATE, FORM | fields, headers=headers)
        if response.status_code == 200:
            return Dataset.objects.get(pk=response.json()["job_id"])
        return {error["field"]: error["message"] for error in response.json()["errors"]}

    return create


def received(content, owner="", length=None, name="pets"):
    """A file that has arrived, of which `content` is here."""
    upload = received_file.begin(owner, len(content) if length is None else length, name)
    upload.content.write_bytes(content)
    return upload


@pytest.mark.parametrize("content", [zip_of(PICTURES), tar_of(PICTURES)])
def test_an_upload_becomes_a_dataset_and_is_used_up(create, content):
    upload = received(content)
    dataset = create(upload_train=upload.key)
    assert not upload.folder.exists()
    build_dataset(dataset.pk)
    dataset.refresh_from_db()
    assert (dataset.status, dataset.error, dataset.archive_train) == (Status.DONE, "", "pets")
    assert "pets/pets/0/0.png" in (dataset.directory / "train.txt").read_text()
    assert not dataset.archive.exists()


def test_a_form_with_errors_leaves_the_upload_in_place(create):
    upload = received(zip_of(PICTURES))
    assert set(create(upload_train=upload.key, resize_width=0)) == {"resize_width"}
    assert create(upload_train=upload.key).archive_train == "pets"


@pytest.mark.parametrize("key", ["0" * 32, "../../etc/passwd"])
def test_an_unknown_upload_is_rejected(create, key):
    assert "choose the images again" in create(upload_train=key)["upload_train"]


def test_an_upload_that_has_not_arrived_completely_is_rejected(create):
    assert (
        "10 of 20 bytes have arrived"
        in create(upload_train=received(b"PK\3\4" + bytes(6), length=20).key)["upload_train"]
    )


def test_an_upload_that_is_no_archive_is_rejected(create):
    assert (
        "photo.png is not an archive" in create(upload_train=received(b"x" * 600, name="photo.png").key)["upload_train"]
    )


def test_an_upload_together_with_a_folder_is_rejected(create, digits_folder):
    wrong = create(upload_train=received(zip_of(PICTURES)).key, folder_train=str(digits_folder))
    assert "only one of them" in wrong["upload_train"]


def test_a_hostile_upload_fails_like_a_hostile_archive(create):
    dataset = create(upload_train=received(zip_of([*PICTURES.items(), ("../../evil.png", b"")])).key)
    build_dataset(dataset.pk)
    dataset.refresh_from_db()
    assert dataset.error == "pets can't be used: '../../evil.png' leads out of the archive."


def test_the_upload_of_another_user_is_rejected(create, settings):
    settings.DIGITS_AUTH = "required"
    ugo, upload = token_header(make_account("ugo", "user")), received(zip_of(PICTURES), owner="ada")
    assert create(ugo, upload_train=upload.key)["upload_train"] == "This is the upload of another user."
    assert upload.is_complete
