"""The dataset form: every wrong field has its own message and creates nothing."""

import os
import shutil

import pytest
from django.conf import settings
from django.utils.html import escape

from datasets.imagedb.images.formats import READABLE
from datasets.models import Dataset
from datasets.tasks import build_dataset
from tests.support.api_requests import field_errors
from tests.support.samples.imagedb_samples import write_28_pixel_digits

pytestmark = pytest.mark.django_db
CREATE = "/datasets/images/classification.json"


@pytest.fixture(autouse=True)
def _open_server(settings):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [settings.BASE_DIR.__class__("/")]


@pytest.fixture
def form(digits_folder):
    """A form that is right, with what the test changes."""

    def form(**fields):
        right = {"dataset_name": "digits", "folder_train": str(digits_folder), "resize_width": 28, "resize_height": 28}
        return {name: value for name, value in (right | fields).items() if value is not None}

    return form


def test_a_right_form_makes_a_waiting_job(client, form):
    answer = client.post(CREATE, form())
    dataset = Dataset.objects.get()
    assert answer.json() == {"job_id": dataset.pk, "id": dataset.pk, "name": "digits", "status": "Waiting"}
    assert dataset.directory.is_dir()


@pytest.mark.parametrize("content_type", ["multipart", "application/x-www-form-urlencoded", "application/json"])
def test_every_kind_of_body_carries_the_same_fields(client, form, content_type):
    data = form(resize_channels=1, encoding="jpg")
    if content_type == "application/x-www-form-urlencoded":
        data = "&".join(f"{name}={value}" for name, value in data.items())
    extra = {} if content_type == "multipart" else {"content_type": content_type}
    client.post(CREATE, data, **extra)
    dataset = Dataset.objects.get()
    assert (dataset.resize_channels, dataset.encoding, dataset.resize_width) == (1, "jpg", 28)


def test_blank_optional_fields_mean_their_defaults_and_unknown_ones_are_ignored(client, form):
    client.post(CREATE, form(resize_width="", encoding="", folder_pct_val="", method="", csrf_token="x"))
    dataset = Dataset.objects.get()
    assert (dataset.resize_width, dataset.encoding, dataset.folder_pct_val) == (256, "png", 25)


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("dataset_name", None, "This field is required."),
        ("dataset_name", "", "This field may not be blank."),
        ("dataset_name", "x" * 10_000, "Ensure this field has no more than 255 characters."),
        ("dataset_name", "a\0b", "Null characters are not allowed."),
        ("method", "s3", '"s3" is not a valid choice. Choose folder or textfile.'),
        ("resize_width", 0, "Ensure this value is greater than or equal to 1."),
        ("resize_height", 100_000, "Ensure this value is less than or equal to 4096."),
        ("resize_width", "wide", "A valid integer is required."),
        ("resize_channels", 2, '"2" is not a valid choice. Choose 1 or 3.'),
        ("resize_mode", "stretch", '"stretch" is not a valid choice. Choose crop, squash, fill or half_crop.'),
        ("encoding", "gif", '"gif" is not a valid choice. Choose none, png or jpg.'),
        ("folder_train", None, "This field is required."),
        ("folder_train", "images", "images is not an absolute path; paths are those of the server and begin with /."),
        ("folder_pct_val", 100, "100 % leaves no image to train on."),
        ("folder_pct_val", -1, "Ensure this value is greater than or equal to 0."),
        ("folder_pct_test", 101, "Ensure this value is less than or equal to 100."),
        ("folder_pct_val", "nan", "A valid number is required."),
        ("folder_train", "http://example.com/", "This is a URL; only what lies on the server can be named here."),
        ("folder_train_min_per_class", 0, "Ensure this value is greater than or equal to 1."),
        ("folder_train_max_per_class", 1, "This is less than the minimum, 2."),
        ("has_val_folder", "maybe", "This is neither true (y yes true on 1) nor false (n no false off 0)."),
    ],
)
def test_a_wrong_field_gets_its_own_message_and_creates_nothing(client, form, field, value, message):
    assert field_errors(client.post(CREATE, form(**{field: value}))) == {field: message}
    assert not Dataset.objects.exists()
    assert not settings.DIGITS_JOBS_DIR.exists()


def test_every_wrong_field_is_named_at_once(client):
    answer = client.post(CREATE, {"resize_width": 0, "encoding": "gif", "folder_train": "/nowhere"})
    assert set(field_errors(answer)) == {"dataset_name", "resize_width", "encoding", "folder_train"}


def test_fields_that_are_wrong_together_are_named_beside_fields_that_are_wrong_alone(client):
    together = {"folder_pct_val": 60, "folder_pct_test": 40, "has_val_folder": "n", "has_test_folder": "n"}
    limits = {"folder_train_min_per_class": 5, "folder_train_max_per_class": 4}
    answer = client.post(CREATE, {"encoding": "gif", "folder_train": "/nowhere"} | together | limits)
    named = {"dataset_name", "encoding", "folder_train", "folder_pct_val", "folder_train_max_per_class"}
    assert set(field_errors(answer)) == named


def test_a_validation_folder_that_is_announced_and_not_named_is_told_beside_a_missing_name(client, form):
    wrong = field_errors(client.post(CREATE, form(dataset_name=None, has_val_folder="on")))
    assert set(wrong) == {"dataset_name", "folder_val"}


def test_a_folder_that_is_wrong_by_itself_gets_no_second_message(client, form):
    wrong = field_errors(client.post(CREATE, form(has_val_folder="on", folder_val="/nowhere")))
    assert wrong == {"folder_val": "/nowhere does not exist. Name a folder of the server that holds images."}


def test_shares_that_leave_nothing_to_train_on_are_refused(client, form):
    wrong = field_errors(client.post(CREATE, form(folder_pct_val=60, folder_pct_test=40)))
    assert "must leave some images to train on" in wrong["folder_pct_val"]


def test_a_validation_folder_that_is_announced_must_be_named(client, form):
    wrong = field_errors(client.post(CREATE, form(has_val_folder="on")))
    assert wrong == {"folder_val": "This field is required with has_val_folder."}


def test_a_folder_that_is_not_there(client, form, tmp_path):
    wrong = field_errors(client.post(CREATE, form(folder_train=str(tmp_path / "gone"))))
    assert str(tmp_path / "gone") in wrong["folder_train"]
    assert "not exist" in wrong["folder_train"]


def test_a_file_where_a_folder_should_be(client, form, tmp_path):
    (tmp_path / "file").touch()
    assert (
        "not a folder" in field_errors(client.post(CREATE, form(folder_train=str(tmp_path / "file"))))["folder_train"]
    )


def test_a_folder_without_categories(client, form, tmp_path):
    assert "subfolder" in field_errors(client.post(CREATE, form(folder_train=str(tmp_path))))["folder_train"]


def test_a_folder_of_one_category(client, form, tmp_path):
    (tmp_path / "cats").mkdir()
    wrong = field_errors(client.post(CREATE, form(folder_train=str(tmp_path))))
    assert "one subfolder only, cats" in wrong["folder_train"]


def test_folders_without_images_are_refused_by_the_form(client, form, tmp_path):
    for name in ("cats", "dogs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text("to come")
    wrong = field_errors(
        client.post(CREATE, form(folder_train=str(tmp_path), has_val_folder="y", folder_val=str(tmp_path)))
    )
    told = f"{tmp_path} holds no images in its subfolders. An image is a {READABLE} file."
    assert wrong == {"folder_train": told, "folder_val": told}


def test_a_folder_with_images_of_one_category_is_refused_by_the_form(client, form, tmp_path):
    write_28_pixel_digits(tmp_path, categories=1, each=3)
    (tmp_path / "dogs").mkdir()
    wrong = field_errors(client.post(CREATE, form(folder_train=str(tmp_path))))
    assert wrong["folder_train"].startswith(f"{tmp_path} holds images of one category only, 0; a classifier needs two.")


def test_images_of_a_folder_that_vanish_before_the_build_are_an_error_of_the_job(client, form, tmp_path):
    write_28_pixel_digits(tmp_path / "images", categories=2, each=3)
    client.post(CREATE, form(folder_train=str(tmp_path / "images")))
    for image in (tmp_path / "images").rglob("*.png"):
        image.unlink()
    dataset = Dataset.objects.get()
    build_dataset(dataset.pk)
    answer = client.get(f"/datasets/{dataset.pk}.json").json()
    assert answer["status"] == "Error"
    assert str(tmp_path) in answer["error"]
    assert "no images" in answer["error"]


def test_a_folder_outside_the_data_roots_is_refused_whether_it_exists_or_not(client, form, settings, tmp_path):
    settings.DIGITS_DATA_ROOTS = [tmp_path / "allowed"]
    for outside in ("/etc", "/no/such/folder"):
        wrong = field_errors(client.post(CREATE, form(folder_train=outside)))
        assert wrong["folder_train"].startswith(f"{outside} is not in a folder that this server may read")


def test_a_link_does_not_lead_out_of_the_data_roots(client, form, settings, tmp_path, digits_folder):
    settings.DIGITS_DATA_ROOTS = [tmp_path]
    (tmp_path / "link").symlink_to(digits_folder)
    assert "may read" in field_errors(client.post(CREATE, form(folder_train=str(tmp_path / "link"))))["folder_train"]


@pytest.fixture
def forbidden(tmp_path, client):
    """A folder that this process may not read, and a link that it may not follow."""
    client.post(CREATE, {})  # loads what the server needs, which nobody might not reach
    (tmp_path / "images").mkdir()
    tmp_path.chmod(0)
    before = os.geteuid()
    os.seteuid(before or 65534)  # root may read everything
    yield str(tmp_path / "images"), "/proc/1/root"
    os.seteuid(before)
    tmp_path.chmod(0o700)


def test_a_folder_without_permission(client, form, forbidden):
    for path in forbidden:
        assert "permission" in field_errors(client.post(CREATE, form(folder_train=path)))["folder_train"]


def test_links_that_lead_in_a_circle(client, form, tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    wrong = field_errors(client.post(CREATE, form(folder_train=str(tmp_path / "a" / "images"))))
    assert str(tmp_path / "a" / "images") in wrong["folder_train"]


def test_the_wire_format_of_public_clients_has_lists_by_field(client, form, settings):
    settings.DIGITS_WIRE_FORMAT = "digits"
    answer = client.post(CREATE, form(dataset_name=None))
    assert answer.json() == {"errors": {"dataset_name": ["This field is required."]}}


def test_a_body_that_is_no_json_is_the_clients_fault(client):
    answer = client.post(CREATE, "{", content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "BadRequest")


def test_a_list_instead_of_an_object_is_the_clients_fault(client):
    assert client.post(CREATE, [1, 2], content_type="application/json").status_code == 400


def test_a_built_dataset_tells_its_counts(client, form, tmp_path):
    write_28_pixel_digits(tmp_path / "images", categories=3, each=8)
    client.post(CREATE, form(folder_train=str(tmp_path / "images"), folder_pct_test=25, resize_channels=1))
    dataset = Dataset.objects.get()
    build_dataset(dataset.pk)
    answer = client.get(f"/datasets/{dataset.pk}.json").json()
    image = {"image_width": 28, "image_height": 28, "image_channels": 1, "encoding": "png"}
    assert answer == {
        "id": dataset.pk,
        "name": "digits",
        "directory": str(dataset.directory),
        "status": "Done",
        "ParseFolderTasks": [
            {
                "name": "Parse Folder (train/val/test)",
                "label_count": 3,
                "train_count": 12,
                "val_count": 6,
                "test_count": 6,
            }
        ],
        "CreateDbTasks": [
            {"name": "Create DB (train)", "entries": 12, **image},
            {"name": "Create DB (val)", "entries": 6, **image},
            {"name": "Create DB (test)", "entries": 6, **image},
        ],
        "alpha_background": "white",
        "white_level": 65535,
        "depth": "auto",
    }


def test_copies_are_told_in_json_on_the_page_and_in_the_admin(client, admin_client, form, tmp_path):
    folder = write_28_pixel_digits(tmp_path / "images", categories=2, each=8)
    for digit in ("0", "1"):
        shutil.copy(folder / "0" / "0.png", folder / digit / "<b>copy.png")
    client.post(CREATE, form(folder_train=str(folder)))
    dataset = Dataset.objects.get()
    build_dataset(dataset.pk)
    told = client.get(f"/datasets/{dataset.pk}.json").json()["copies"]
    remarks = told.pop("remarks")
    assert told == {"images": 3, "pictures": 1, "in_two_categories": 1, "in_two_splits": 0}
    assert remarks[0].startswith("3 images are exact copies of one another: together they show one picture. Copies")
    for page in (
        client.get(f"/datasets/{dataset.pk}"),
        admin_client.get(f"/admin/datasets/dataset/{dataset.pk}/change/"),
    ):
        assert all(escape(remark) in page.content.decode() for remark in remarks)


def test_splits_that_lie_in_the_folder_for_training_have_tasks_of_their_own(client, form, tmp_path):
    for name, each in (("train", 6), ("valid", 3), ("test", 2)):
        write_28_pixel_digits(tmp_path / "data" / name, categories=2, each=each)
    client.post(CREATE, form(folder_train=str(tmp_path / "data")))
    dataset = Dataset.objects.get()
    build_dataset(dataset.pk)
    answer = client.get(f"/datasets/{dataset.pk}.json").json()
    assert [(task["name"], task["label_count"]) for task in answer["ParseFolderTasks"]] == [
        ("Parse Folder (train)", 2),
        ("Parse Folder (val)", 2),
        ("Parse Folder (test)", 2),
    ]
    assert [task["entries"] for task in answer["CreateDbTasks"]] == [12, 6, 4]
    assert "holds train, valid, test: they are used as the splits" in answer["warnings"][0]


def test_splits_that_are_not_sorted_into_categories_are_refused_by_the_form(client, form, tmp_path):
    for digit, name in enumerate(("train", "test")):
        shutil.move(
            write_28_pixel_digits(tmp_path / "some" / name, categories=2, each=3) / str(digit), tmp_path / "data" / name
        )
    wrong = field_errors(client.post(CREATE, form(folder_train=str(tmp_path / "data"))))
    assert "which are the names of splits, not of categories" in wrong["folder_train"]


def test_validation_and_test_folders_have_limits_of_their_own_and_what_does_not_match_training_is_told(
    client, form, tmp_path
):
    train = write_28_pixel_digits(tmp_path / "train", categories=4, each=8)
    for split, each, category in (("val", 6, "0"), ("test", 3, "3")):
        (write_28_pixel_digits(tmp_path / split, categories=4, each=each) / category).rename(
            tmp_path / split / "stranger"
        )
    limits = {"folder_val_max_per_class": 5, "folder_test_min_per_class": 3, "folder_train_max_per_class": 7}
    own = {f"folder_{split}": str(tmp_path / split) for split in ("val", "test")}
    client.post(CREATE, form(folder_train=str(train), has_val_folder="y", has_test_folder="y", **own, **limits))
    dataset = Dataset.objects.get()
    build_dataset(dataset.pk)
    answer = client.get(f"/datasets/{dataset.pk}.json").json()
    assert [task["entries"] for task in answer["CreateDbTasks"]] == [28, 15, 9]
    assert answer["warnings"] == [
        "Left out of val, since train does not have them: stranger.",
        "Without images in val: 0.",
        "Left out of test, since train does not have them: stranger.",
        "Without images in test: 3.",
    ]
    log = (dataset.directory / "build.log").read_text()
    assert all(f"warning: {warning}\n" in log for warning in answer["warnings"])


def test_a_test_folder_without_enough_images_for_its_minimum_fails_the_job(client, form, tmp_path):
    own = {
        "folder_test": str(write_28_pixel_digits(tmp_path / "test", categories=2, each=3)),
        "folder_test_min_per_class": 4,
    }
    client.post(CREATE, form(has_test_folder="y", **own))
    dataset = Dataset.objects.get()
    build_dataset(dataset.pk)
    assert (
        "holds no category that train has, with at least 4 images"
        in client.get(f"/datasets/{dataset.pk}.json").json()["error"]
    )


def test_without_the_suffix_the_answer_leads_to_the_jobs_page(client, form):
    answer = client.post(CREATE.removesuffix(".json"), form())
    assert (answer.status_code, answer["Location"]) == (302, f"/datasets/{Dataset.objects.get().pk}")
