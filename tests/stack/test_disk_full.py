"""A full disk during a build, a snapshot and an upload.

A limit of the size of files (RLIMIT_FSIZE) stands in for a full disk: it fails in the same calls and needs no
privileges. `make chaos` fills a real disk.
"""

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
from tests.models_app.test_resume import EPOCHS, assert_same_bits, on_event  # noqa: F401 - a fixture

pytestmark = pytest.mark.django_db
MAX_FILE_BYTES = 20_000


@pytest.fixture
def file_limit():
    """Limit files that this process and its children write to MAX_FILE_BYTES; calling the fixture lifts the limit."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def lift():
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, before[1]))
    yield lift
    lift()
    signal.signal(signal.SIGXFSZ, ignored)


def assert_error_names_the_disk(job):
    assert job.status == Status.ERROR
    assert job.error == (
        f"File too large: nothing more can be written to {job.directory}. Free some space there, "
        "then resume this job: it continues from what it has finished."
    )


def test_a_build_on_a_full_disk_fails_cleanly_and_can_be_resumed(make_dataset, file_limit):
    dataset = make_dataset()
    build_dataset(dataset.pk)
    dataset.refresh_from_db()
    assert_error_names_the_disk(dataset)
    assert list(dataset.directory.iterdir()) == []
    file_limit()
    resume(dataset)
    build_dataset(dataset.pk)
    dataset.refresh_from_db()
    assert dataset.status == Status.DONE


def test_unpacking_an_archive_on_a_full_disk_is_not_reported_as_damage(make_dataset, digits_folder, file_limit):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for image in digits_folder.rglob("*.png"):
            padded = image.read_bytes().ljust(MAX_FILE_BYTES + 1, b"\0")
            archive.writestr(str(image.relative_to(digits_folder)), padded, zipfile.ZIP_DEFLATED)
    file_limit()
    upload = SimpleUploadedFile("a.zip", buffer.getvalue())
    dataset = make_dataset(folder_train="", archive_train="a.zip", files={"archive": upload})
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, resource.RLIM_INFINITY))
    build_dataset(dataset.pk)
    dataset.refresh_from_db()
    assert_error_names_the_disk(dataset)
    assert [path.name for path in dataset.directory.iterdir()] == ["archive"]


def test_a_snapshot_on_a_full_disk_keeps_the_earlier_ones_and_the_training_can_be_resumed(
    built_dataset, make_model, run_training_task, on_event  # noqa: F811 - a fixture
):  # fmt: skip
    def fill(pid):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (MAX_FILE_BYTES, resource.RLIM_INFINITY))

    # The trainer does not wait until its event is read: it can write more snapshots before the limit is set.
    fields = EPOCHS | {"train_epochs": 4}
    on_event("snapshot", fill, epoch=0.5)
    model = run_training_task(make_model(built_dataset, **fields))
    assert_error_names_the_disk(model)
    directories = {row.folder: row.directory for row in model.snapshots.all()}
    assert {f"snapshots/{path.name}" for path in (model.directory / "snapshots").iterdir()} == set(directories)
    assert [folder for folder, directory in directories.items() if not is_whole(directory)] == []
    assert 0.5 <= model.newest_snapshot.epoch < 4
    resume(model)
    assert run_training_task(model).status == Status.DONE
    uninterrupted = run_training_task(make_model(built_dataset, **fields))
    assert_same_bits(model, uninterrupted)


@pytest.mark.parametrize("path", ["/datasets/images/classification.json", "/datasets/images/classification"])
def test_an_upload_on_a_full_disk_is_a_507_and_leaves_no_file(client, settings, file_limit, path):
    settings.DIGITS_AUTH = "open"
    large = SimpleUploadedFile("a.zip", b"PK\3\4" + bytes(3 << 20))
    response = client.post(path, {"dataset_name": "d", "archive_train": large}, HTTP_ACCEPT="application/json")
    assert response.status_code == 507
    assert response.json()["error"]["message"] == "507: Insufficient Storage"
    assert f"nothing more can be written to {server.DIGITS_HOME}" in response.json()["error"]["description"]
    assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []
    assert not Dataset.objects.exists()
