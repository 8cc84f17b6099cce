"""Classification datasets over HTTP: the form, its field errors, and the JSON of a built dataset."""

import shutil

import pytest
from django.conf import settings
from django.utils.html import escape

from datasets.models import Dataset
from datasets.tasks import build_dataset
from tests.support.api_requests import field_errors
from tests.support.samples.imagedb_samples import write_28_pixel_digits

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/datasets/images/classification.json"


def test_a_valid_dataset_form_creates_a_waiting_job(client, folder_form):
    response = client.post(CREATE, folder_form())
    dataset = Dataset.objects.get()
    assert response.json() == {"job_id": dataset.pk, "id": dataset.pk, "name": "digits", "status": "Waiting"}
    assert dataset.directory.is_dir()


@pytest.mark.parametrize("content_type", ["multipart", "application/x-www-form-urlencoded", "application/json"])
def test_a_dataset_form_can_be_multipart_urlencoded_or_json(client, folder_form, content_type):
    data = folder_form(resize_channels=1, encoding="jpg")
    if content_type == "application/x-www-form-urlencoded":
        data = "&".join(f"{name}={value}" for name, value in data.items())
    extra = {} if content_type == "multipart" else {"content_type": content_type}
    client.post(CREATE, data, **extra)
    dataset = Dataset.objects.get()
    assert (dataset.resize_channels, dataset.encoding, dataset.resize_width) == (1, "jpg", 28)


def test_blank_optional_fields_of_a_dataset_form_get_their_defaults(client, folder_form):
    client.post(CREATE, folder_form(resize_width="", encoding="", folder_pct_val="", method="", csrf_token="x"))
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
        ("folder_pct_val", 100, "100 % leaves no image for training."),
        ("folder_pct_val", -1, "Ensure this value is greater than or equal to 0."),
        ("folder_pct_test", 101, "Ensure this value is less than or equal to 100."),
        ("folder_pct_val", "nan", "A valid number is required."),
        ("folder_train", "http://example.com/", "This is a URL; only a path on the server can be named here."),
        ("folder_train_min_per_class", 0, "Ensure this value is greater than or equal to 1."),
        ("folder_train_max_per_class", 1, "This is less than the minimum, 2."),
        ("has_val_folder", "maybe", "This is neither true (y yes true on 1) nor false (n no false off 0)."),
    ],
)
def test_an_invalid_field_of_a_dataset_form_is_reported_and_creates_nothing(client, folder_form, field, value, message):
    assert field_errors(client.post(CREATE, folder_form(**{field: value}))) == {field: message}
    assert not Dataset.objects.exists()
    assert not settings.DIGITS_JOBS_DIR.exists()


def test_all_invalid_fields_of_a_dataset_form_are_reported_together(client):
    response = client.post(CREATE, {"resize_width": 0, "encoding": "gif", "folder_train": "/nowhere"})
    assert set(field_errors(response)) == {"dataset_name", "resize_width", "encoding", "folder_train"}


def test_errors_of_field_combinations_are_reported_with_errors_of_single_fields(client):
    together = {"folder_pct_val": 60, "folder_pct_test": 40, "has_val_folder": "n", "has_test_folder": "n"}
    limits = {"folder_train_min_per_class": 5, "folder_train_max_per_class": 4}
    response = client.post(CREATE, {"encoding": "gif", "folder_train": "/nowhere"} | together | limits)
    field_names = {"dataset_name", "encoding", "folder_train", "folder_pct_val", "folder_train_max_per_class"}
    assert set(field_errors(response)) == field_names


def test_shares_that_leave_no_images_for_training_are_rejected(client, folder_form):
    errors = field_errors(client.post(CREATE, folder_form(folder_pct_val=60, folder_pct_test=40)))
    assert "so that some images are left for training" in errors["folder_pct_val"]


def test_the_digits_wire_format_has_a_list_of_errors_for_each_field(client, folder_form, settings):
    settings.DIGITS_WIRE_FORMAT = "digits"
    response = client.post(CREATE, folder_form(dataset_name=None))
    assert response.json() == {"errors": {"dataset_name": ["This field is required."]}}


def test_a_dataset_form_with_invalid_json_gets_400(client):
    response = client.post(CREATE, "{", content_type="application/json")
    assert (response.status_code, response.json()["error"]["type"]) == (400, "BadRequest")


def test_a_dataset_form_with_a_json_list_gets_400(client):
    assert client.post(CREATE, [1, 2], content_type="application/json").status_code == 400


def test_the_json_of_a_built_dataset_has_its_counts(client, folder_form, tmp_path, build_json):
    write_28_pixel_digits(tmp_path / "images", categories=3, each=8)
    client.post(CREATE, folder_form(folder_train=str(tmp_path / "images"), folder_pct_test=25, resize_channels=1))
    facts = build_json()
    dataset = Dataset.objects.get()
    image = {"image_width": 28, "image_height": 28, "image_channels": 1, "encoding": "png"}
    assert facts == {
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


def test_copies_of_images_are_reported_in_json_on_the_page_and_in_the_admin(
    client, admin_client, folder_form, tmp_path
):
    folder = write_28_pixel_digits(tmp_path / "images", categories=2, each=8)
    for digit in ("0", "1"):
        shutil.copy(folder / "0" / "0.png", folder / digit / "<b>copy.png")
    client.post(CREATE, folder_form(folder_train=str(folder)))
    dataset = Dataset.objects.get()
    build_dataset(dataset.pk)
    copies = client.get(f"/datasets/{dataset.pk}.json").json()["copies"]
    remarks = copies.pop("remarks")
    assert copies == {"images": 3, "pictures": 1, "in_two_categories": 1, "in_two_splits": 0}
    assert remarks[0].startswith("3 images are exact copies of one another: together they show one picture. Copies")
    for page in (
        client.get(f"/datasets/{dataset.pk}"),
        admin_client.get(f"/admin/datasets/dataset/{dataset.pk}/change/"),
    ):
        assert all(escape(remark) in page.content.decode() for remark in remarks)


def test_a_dataset_form_without_json_suffix_redirects_to_the_page_of_the_job(client, folder_form):
    response = client.post(CREATE.removesuffix(".json"), folder_form())
    assert (response.status_code, response["Location"]) == (302, f"/datasets/{Dataset.objects.get().pk}")
