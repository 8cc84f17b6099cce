"""No room left: while building, while taking a snapshot, while uploading. Here files may not grow beyond so many bytes,
which fails in the same calls as a full disk and needs no rights; `make chaos` fills a disk."""

import io
import resource
import signal
import zipfile

import pytest
from django.conf import settings as server
from django.core.files.uploadedfile import SimpleUploadedFile

from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project.jobs.models import Status
from digits_project.jobs.services import resume
from models_app.training.snapshots.snapshot_reader import is_whole
from tests.models_app.test_resume import EPOCHS, assert_same_bits, at, work_on  # noqa: F401 - fixtures

pytestmark = pytest.mark.django_db
LITTLE = 20_000  # bytes


@pytest.fixture
def little_room():
    """Until `more()`, no file that this process and those that it starts write grows beyond LITTLE."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def more():
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    resource.setrlimit(resource.RLIMIT_FSIZE, (LITTLE, before[1]))
    yield more
    more()
    signal.signal(signal.SIGXFSZ, ignored)


def assert_told(job):
    assert job.status == Status.ERROR
    assert job.error == (
        f"File too large: nothing more can be written into {job.directory}. Make room there, "
        "then resume this job: it goes on from what it had finished."
    )


def test_a_build_without_room_says_so_leaves_nothing_and_is_resumed_when_there_is_some(make_dataset, little_room):
    dataset = make_dataset()
    build_dataset(dataset.pk)
    dataset.refresh_from_db()
    assert_told(dataset)
    assert list(dataset.directory.iterdir()) == []
    little_room()
    resume(dataset)
    build_dataset(dataset.pk)
    dataset.refresh_from_db()
    assert dataset.status == Status.DONE


def test_an_archive_that_finds_no_room_to_be_unpacked_is_not_called_damaged(make_dataset, digits_folder, little_room):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for image in digits_folder.rglob("*.png"):
            padded = image.read_bytes().ljust(LITTLE + 1, b"\0")
            archive.writestr(str(image.relative_to(digits_folder)), padded, zipfile.ZIP_DEFLATED)
    little_room()
    sent = SimpleUploadedFile("a.zip", packed.getvalue())
    dataset = make_dataset(folder_train="", archive_train="a.zip", files={"archive": sent})
    resource.setrlimit(resource.RLIMIT_FSIZE, (LITTLE, resource.RLIM_INFINITY))
    build_dataset(dataset.pk)
    dataset.refresh_from_db()
    assert_told(dataset)
    assert [path.name for path in dataset.directory.iterdir()] == ["archive"]


def test_a_snapshot_without_room_leaves_those_before_it_and_the_training_goes_on_from_there(
    built_dataset, make_model, work_on, at  # noqa: F811 - fixtures
):  # fmt: skip
    def fill(pid):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (LITTLE, resource.RLIM_INFINITY))

    # The trainer does not wait until its event has been read: it may take some more snapshots before the room is gone.
    many = EPOCHS | {"train_epochs": 4}
    at("snapshot", fill, epoch=0.5)
    model = work_on(make_model(built_dataset, **many))
    assert_told(model)
    kept = {row.folder: row.directory for row in model.snapshots.all()}
    assert {f"snapshots/{path.name}" for path in (model.directory / "snapshots").iterdir()} == set(kept)
    assert [folder for folder, directory in kept.items() if not is_whole(directory)] == []
    assert 0.5 <= model.newest_snapshot.epoch < 4
    resume(model)
    assert work_on(model).status == Status.DONE
    undisturbed = work_on(make_model(built_dataset, **many))
    assert_same_bits(model, undisturbed)


@pytest.mark.parametrize("path", ["/datasets/images/classification.json", "/datasets/images/classification"])
def test_an_upload_without_room_is_a_507_that_says_so_and_leaves_nothing(client, settings, little_room, path):
    settings.DIGITS_AUTH = "open"
    large = SimpleUploadedFile("a.zip", b"PK\3\4" + bytes(3 << 20))
    answer = client.post(path, {"dataset_name": "d", "archive_train": large}, HTTP_ACCEPT="application/json")
    assert answer.status_code == 507
    assert answer.json()["error"]["message"] == "507: Insufficient Storage"
    assert f"nothing more can be written into {server.DIGITS_HOME}" in answer.json()["error"]["description"]
    assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []
    assert not Dataset.objects.exists()
