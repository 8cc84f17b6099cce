"""Datasets from folders over HTTP: which folders the form rejects, and what becomes of found splits and limits."""

import os
import shutil

import pytest

from datasets.imagedb.images.formats import READABLE
from datasets.models import Dataset
from tests.support.api_requests import field_errors
from tests.support.samples.imagedb_samples import write_28_pixel_digits

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/datasets/images/classification.json"


def test_a_missing_validation_folder_is_reported_with_a_missing_name(client, folder_form):
    errors = field_errors(client.post(CREATE, folder_form(dataset_name=None, has_val_folder="on")))
    assert set(errors) == {"dataset_name", "folder_val"}


def test_an_invalid_folder_gets_only_one_error(client, folder_form):
    errors = field_errors(client.post(CREATE, folder_form(has_val_folder="on", folder_val="/nowhere")))
    assert errors == {"folder_val": "/nowhere does not exist. Name a folder of the server that holds images."}


def test_has_val_folder_requires_folder_val(client, folder_form):
    errors = field_errors(client.post(CREATE, folder_form(has_val_folder="on")))
    assert errors == {"folder_val": "This field is required with has_val_folder."}


def test_a_missing_folder_is_rejected(client, folder_form, tmp_path):
    errors = field_errors(client.post(CREATE, folder_form(folder_train=str(tmp_path / "gone"))))
    assert str(tmp_path / "gone") in errors["folder_train"]
    assert "not exist" in errors["folder_train"]


def test_a_file_instead_of_a_folder_is_rejected(client, folder_form, tmp_path):
    (tmp_path / "file").touch()
    errors = field_errors(client.post(CREATE, folder_form(folder_train=str(tmp_path / "file"))))
    assert "not a folder" in errors["folder_train"]


def test_a_folder_without_subfolders_is_rejected(client, folder_form, tmp_path):
    errors = field_errors(client.post(CREATE, folder_form(folder_train=str(tmp_path))))
    assert "subfolder" in errors["folder_train"]


def test_a_folder_with_one_subfolder_is_rejected(client, folder_form, tmp_path):
    (tmp_path / "cats").mkdir()
    errors = field_errors(client.post(CREATE, folder_form(folder_train=str(tmp_path))))
    assert "only one subfolder, cats" in errors["folder_train"]


def test_folders_without_images_are_rejected(client, folder_form, tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text("to come")
    form = folder_form(folder_train=str(tmp_path), has_val_folder="y", folder_val=str(tmp_path))
    errors = field_errors(client.post(CREATE, form))
    message = f"{tmp_path} holds no images in its subfolders. An image is a {READABLE} file."
    assert errors == {"folder_train": message, "folder_val": message}


def test_a_folder_with_images_in_only_one_category_is_rejected(client, folder_form, tmp_path):
    write_28_pixel_digits(tmp_path, categories=1, each=3)
    (tmp_path / "dogs").mkdir()
    errors = field_errors(client.post(CREATE, folder_form(folder_train=str(tmp_path))))
    message = f"{tmp_path} holds images of one category only, 0; a classifier needs two."
    assert errors["folder_train"].startswith(message)


def test_a_job_whose_images_were_deleted_before_the_build_fails(client, folder_form, tmp_path, build_json):
    write_28_pixel_digits(tmp_path / "images", categories=2, each=3)
    client.post(CREATE, folder_form(folder_train=str(tmp_path / "images")))
    for image in (tmp_path / "images").rglob("*.png"):
        image.unlink()
    facts = build_json()
    assert facts["status"] == "Error"
    assert str(tmp_path) in facts["error"]
    assert "no images" in facts["error"]


def test_a_folder_outside_the_data_roots_is_rejected_even_if_it_is_missing(client, folder_form, settings, tmp_path):
    settings.DIGITS_DATA_ROOTS = [tmp_path / "allowed"]
    for outside in ("/etc", "/no/such/folder"):
        errors = field_errors(client.post(CREATE, folder_form(folder_train=outside)))
        assert errors["folder_train"].startswith(f"{outside} is not in a folder that this server may read")


def test_a_link_that_leads_out_of_the_data_roots_is_rejected(client, folder_form, settings, tmp_path, digits_folder):
    settings.DIGITS_DATA_ROOTS = [tmp_path]
    (tmp_path / "link").symlink_to(digits_folder)
    errors = field_errors(client.post(CREATE, folder_form(folder_train=str(tmp_path / "link"))))
    assert "may read" in errors["folder_train"]


@pytest.fixture
def unreadable_folders(tmp_path, client):
    """A folder that this process has no permission to read, and a link that it has no permission to follow."""
    client.post(CREATE, {})  # imports all modules while this process can still read their files
    (tmp_path / "images").mkdir()
    tmp_path.chmod(0)
    before = os.geteuid()
    os.seteuid(before or 65534)  # root can read everything
    yield str(tmp_path / "images"), "/proc/1/root"
    os.seteuid(before)
    tmp_path.chmod(0o700)


def test_a_folder_without_read_permission_is_rejected(client, folder_form, unreadable_folders):
    for path in unreadable_folders:
        assert "permission" in field_errors(client.post(CREATE, folder_form(folder_train=path)))["folder_train"]


def test_a_folder_behind_circular_links_is_rejected(client, folder_form, tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    errors = field_errors(client.post(CREATE, folder_form(folder_train=str(tmp_path / "a" / "images"))))
    assert str(tmp_path / "a" / "images") in errors["folder_train"]


def test_splits_found_in_the_training_folder_have_their_own_tasks(client, folder_form, tmp_path, build_json):
    for name, each in (("train", 6), ("valid", 3), ("test", 2)):
        write_28_pixel_digits(tmp_path / "data" / name, categories=2, each=each)
    client.post(CREATE, folder_form(folder_train=str(tmp_path / "data")))
    facts = build_json()
    assert [(task["name"], task["label_count"]) for task in facts["ParseFolderTasks"]] == [
        ("Parse Folder (train)", 2),
        ("Parse Folder (val)", 2),
        ("Parse Folder (test)", 2),
    ]
    assert [task["entries"] for task in facts["CreateDbTasks"]] == [12, 6, 4]
    assert "holds train, valid, test: they are used as the splits" in facts["warnings"][0]


def test_a_folder_of_splits_without_categories_is_rejected(client, folder_form, tmp_path):
    for digit, name in enumerate(("train", "test")):
        images = write_28_pixel_digits(tmp_path / "some" / name, categories=2, each=3)
        shutil.move(images / str(digit), tmp_path / "data" / name)
    errors = field_errors(client.post(CREATE, folder_form(folder_train=str(tmp_path / "data"))))
    assert "which are names of splits, not of categories" in errors["folder_train"]


def test_validation_and_test_folders_have_their_own_limits_and_warnings(client, folder_form, tmp_path, build_json):
    train = write_28_pixel_digits(tmp_path / "train", categories=4, each=8)
    for split, each, category in (("val", 6, "0"), ("test", 3, "3")):
        images = write_28_pixel_digits(tmp_path / split, categories=4, each=each)
        (images / category).rename(images / "stranger")
    limits = {"folder_val_max_per_class": 5, "folder_test_min_per_class": 3, "folder_train_max_per_class": 7}
    folders = {f"folder_{split}": str(tmp_path / split) for split in ("val", "test")}
    form = folder_form(folder_train=str(train), has_val_folder="y", has_test_folder="y", **folders, **limits)
    client.post(CREATE, form)
    facts = build_json()
    dataset = Dataset.objects.get()
    assert [task["entries"] for task in facts["CreateDbTasks"]] == [28, 15, 9]
    assert facts["warnings"] == [
        "Left out of val, because train has no such category: stranger.",
        "Without images in val: 0.",
        "Left out of test, because train has no such category: stranger.",
        "Without images in test: 3.",
    ]
    log = (dataset.directory / "build.log").read_text()
    assert all(f"warning: {warning}\n" in log for warning in facts["warnings"])


def test_a_job_whose_test_folder_has_too_few_images_fails(client, folder_form, tmp_path, build_json):
    folder = write_28_pixel_digits(tmp_path / "test", categories=2, each=3)
    client.post(CREATE, folder_form(has_test_folder="y", folder_test=str(folder), folder_test_min_per_class=4))
    assert "has no category of train with at least 4 images" in build_json()["error"]
