"""Datasets from text files over HTTP: uploaded with the form, or on the server."""

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

from datasets.models import Dataset
from datasets.sources import textfile_source
from datasets.tasks import build_dataset
from tests.support.api_requests import field_errors

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/datasets/images/classification.json"
NOT_A_FILE = "The submitted data was not a file. Check the encoding type on the form."
LABELS = "nought\none\n"
TRAIN = "".join(f"{digit}/{number}.png {digit}\n" for digit in (0, 1) for number in range(6))
RELATIVE = "is a relative path; name the folder of these images too."
VAL = "0/8.png 0\r\n1/9.png 1\r\n1/8.png 1\r\n"


def upload(content, name="list.txt"):
    return SimpleUploadedFile(name, content if isinstance(content, bytes) else content.encode())


@pytest.fixture
def form(digits_folder):
    """A function that returns a valid form with uploaded files; arguments change fields, None removes one."""

    def form(**fields):
        valid = {
            "dataset_name": "digits",
            "method": "textfile",
            "resize_width": 28,
            "resize_height": 28,
            "textfile_train_images": upload(TRAIN, "train.txt"),
            "textfile_labels_file": upload(LABELS, "labels.txt"),
            "textfile_train_folder": str(digits_folder),
        }
        return {name: value for name, value in (valid | fields).items() if value is not None}

    return form


@pytest.fixture
def local_form(tmp_path, digits_folder):
    """A function that returns a valid form with files on the server; arguments change fields, None removes one."""

    def local_form(**fields):
        valid = {"dataset_name": "digits", "method": "textfile", "textfile_use_local_files": "y"}
        for field, content in (("train_images", TRAIN), ("labels_file", LABELS), ("val_images", VAL)):
            file = tmp_path / f"{field}.txt"
            file.write_text(content)
            valid[f"textfile_local_{field}"] = str(file)
        valid |= {f"textfile_{split}_folder": str(digits_folder) for split in ("train", "val")}
        return {name: value for name, value in (valid | fields).items() if value is not None}

    return local_form


def test_uploaded_text_files_become_a_dataset(client, form, digits_folder, build_json):
    val = {"textfile_use_val": "y", "textfile_val_images": upload(VAL), "textfile_val_folder": str(digits_folder)}
    response = client.post(CREATE, form(resize_channels=1, **val))
    assert response.json()["status"] == "Waiting"
    facts = build_json()
    image = {"image_width": 28, "image_height": 28, "image_channels": 1, "encoding": "png"}
    assert facts["status"] == "Done"
    assert facts["ParseFolderTasks"] == [
        {
            "name": "Parse Text Files (train/val)",
            "label_count": 2,
            "train_count": 12,
            "val_count": 3,
            "test_count": 0,
        }
    ]
    assert facts["CreateDbTasks"] == [
        {"name": "Create DB (train)", "entries": 12, **image},
        {"name": "Create DB (val)", "entries": 3, **image},
    ]
    assert Dataset.objects.get().categories == ["nought", "one"]


@pytest.mark.parametrize("content_type", ["multipart", "application/x-www-form-urlencoded", "application/json"])
def test_text_files_on_the_server_can_be_named_in_a_form_or_json(client, local_form, content_type, build_json):
    data = local_form(textfile_use_val="on")
    if content_type == "application/x-www-form-urlencoded":
        data = "&".join(f"{name}={value}" for name, value in data.items())
    client.post(CREATE, data, **({} if content_type == "multipart" else {"content_type": content_type}))
    assert [task["entries"] for task in build_json()["CreateDbTasks"]] == [12, 3]


def test_images_of_a_group_in_the_last_column_share_a_split(client, local_form, tmp_path, build_json):
    grouped = local_form(split_groups="column", textfile_use_val="y")
    (tmp_path / "train_images.txt").write_text("".join(f"{line} p1\n" for line in TRAIN.splitlines()))
    (tmp_path / "val_images.txt").write_text("0/8.png 0 p2\n1/9.png 1 p1\n1/8.png 1 p2\n")
    assert client.post(CREATE, grouped).json()["status"] == "Waiting"
    assert build_json()["ParseFolderTasks"][0]["val_count"] == 2


def test_a_folder_has_no_column_of_groups(client, digits_folder):
    form = {"dataset_name": "digits", "folder_train": str(digits_folder), "split_groups": "column"}
    errors = field_errors(client.post(CREATE, form))
    assert errors["split_groups"].startswith("split_groups=column is for lists of images")


def test_a_validation_list_without_its_flag_is_ignored(client, form, build_json):
    client.post(CREATE, form(textfile_val_images=upload("nonsense"), textfile_val_folder="nonsense"))
    assert [task["name"] for task in build_json()["CreateDbTasks"]] == ["Create DB (train)"]


def test_a_test_list_creates_a_test_split(client, form, digits_folder, build_json):
    files = {"textfile_test_images": upload(VAL), "textfile_test_folder": str(digits_folder)}
    client.post(CREATE, form(textfile_use_test="1", **files))
    assert build_json()["ParseFolderTasks"][0]["test_count"] == 3


def test_textfile_shuffle_decides_whether_lines_are_shuffled(client, form):
    client.post(CREATE, form())
    client.post(CREATE, form(textfile_shuffle="0"))
    orders = []
    for dataset in Dataset.objects.order_by("textfile_shuffle"):
        build_dataset(dataset.pk)
        orders.append([line.rsplit("/", 2)[1:] for line in (dataset.directory / "train.txt").read_text().splitlines()])
    assert orders[0] == [line.split("/") for line in TRAIN.splitlines()]
    assert orders[0] != orders[1]


def test_a_job_keeps_a_copy_of_the_lists_on_the_server(client, local_form, tmp_path, build_json):
    client.post(CREATE, local_form())
    (tmp_path / "train_images.txt").write_text("overwritten since")
    assert build_json()["status"] == "Done"


@pytest.mark.parametrize(
    "fields, errors",
    [
        ({"textfile_train_images": None}, {"textfile_train_images": "No file was submitted."}),
        ({"textfile_train_images": "train.txt"}, {"textfile_train_images": NOT_A_FILE}),
        ({"textfile_labels_file": None}, {"textfile_labels_file": "No file was submitted."}),
        ({"textfile_labels_file": b""}, {"textfile_labels_file": "The submitted file is empty."}),
        ({"textfile_use_val": "1"}, {"textfile_val_images": "No file was submitted."}),
        ({"textfile_use_test": "1"}, {"textfile_test_images": "No file was submitted."}),
        ({"textfile_train_folder": "/no/such"}, {"textfile_train_folder": "/no/such does not exist."}),
        ({"textfile_train_images": b"a.png 0\nb.png dog\n"}, "Line 2 of list.txt: the label 'dog' is not a number."),
        ({"textfile_train_images": b"a.png 0\nb.png 2"}, "Line 2 of list.txt: the label '2' is out of range (0 to 1)."),
        ({"textfile_train_images": b"a.png 0\nb\xff.png 1\n"}, "Line 2 of list.txt is not UTF-8 text."),
        ({"textfile_train_folder": None}, f"Line 1 of train.txt: '0/0.png' {RELATIVE}"),
    ],
)
def test_an_invalid_field_of_a_textfile_form_is_reported_and_creates_nothing(client, form, fields, errors):
    fields = {name: upload(value) if isinstance(value, bytes) else value for name, value in fields.items()}
    errors = {"textfile_train_images": errors} if isinstance(errors, str) else errors
    assert field_errors(client.post(CREATE, form(**fields))) == errors
    assert not Dataset.objects.exists()
    assert not settings.DIGITS_JOBS_DIR.exists() or not list(settings.DIGITS_JOBS_DIR.iterdir())


def test_invalid_lines_of_several_text_files_are_reported_together(client, form):
    lists = {"textfile_val_images": upload("x 9\n"), "textfile_labels_file": upload("one"), "textfile_use_val": "1"}
    assert set(field_errors(client.post(CREATE, form(**lists)))) == {"textfile_labels_file", "textfile_val_images"}


def test_a_missing_list_or_a_folder_instead_of_a_list_is_rejected(client, local_form, tmp_path):
    paths = {"textfile_local_train_images": str(tmp_path / "gone"), "textfile_local_labels_file": str(tmp_path)}
    assert field_errors(client.post(CREATE, local_form(**paths))) == {
        "textfile_local_train_images": f"{tmp_path / 'gone'} does not exist.",
        "textfile_local_labels_file": f"{tmp_path} is not a file.",
    }


def test_lists_and_folders_outside_the_data_roots_are_rejected(client, local_form, settings, tmp_path):
    settings.DIGITS_DATA_ROOTS = [tmp_path]
    paths = {"textfile_local_train_images": "/etc/passwd", "textfile_train_folder": "/etc"}
    errors = field_errors(client.post(CREATE, local_form(textfile_val_folder=None, **paths)))
    assert set(errors) == set(paths)
    assert all("is not in a folder that this server may read" in message for message in errors.values())


def test_listed_images_outside_the_data_roots_are_not_read(client, form, settings, tmp_path, digits_folder, build_json):
    settings.DIGITS_DATA_ROOTS = [tmp_path]
    lines = "".join(f"{digits_folder}/{line}\n" for line in TRAIN.splitlines())
    client.post(CREATE, form(textfile_train_images=upload(lines), textfile_train_folder=None))
    facts = build_json()
    assert facts["status"] == "Error"
    assert "it is not in a folder that this server may read" in facts["error"]


def test_a_text_file_that_is_too_large_is_rejected_and_creates_nothing(client, form, monkeypatch):
    monkeypatch.setattr(textfile_source, "MAX_LIST_BYTES", 10)
    assert field_errors(client.post(CREATE, form())) == {"textfile_labels_file": "labels.txt is larger than 0 MiB."}
    assert not list(settings.DIGITS_JOBS_DIR.iterdir())


def test_a_textfile_form_ignores_the_fields_of_the_folder_method(client, form):
    assert client.post(CREATE, form(folder_train="/nowhere", folder_pct_val="x", has_val_folder="?")).status_code == 200


def test_an_invalid_boolean_field_is_rejected(client, form):
    assert set(field_errors(client.post(CREATE, form(textfile_use_val="maybe")))) == {"textfile_use_val"}


def test_a_method_that_is_a_json_list_is_a_field_error(client):
    response = client.post(CREATE, {"method": ["textfile"], "dataset_name": "x"}, content_type="application/json")
    assert set(field_errors(response)) >= {"method"}


def test_the_page_of_the_dataset_form_has_the_fields_of_both_methods(client):
    page = client.get(CREATE.removesuffix(".json"), HTTP_ACCEPT="text/html").content.decode()
    assert 'name="textfile_train_images"' in page
    assert 'name="folder_train"' in page
