"""Datasets from text files, sent or lying on the server: what is stored, built and refused."""

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

from datasets.models import Dataset
from datasets.sources import textfile_source
from datasets.tasks import build_dataset
from tests.support.api_requests import field_errors

pytestmark = pytest.mark.django_db
CREATE = "/datasets/images/classification.json"
NOT_A_FILE = "The submitted data was not a file. Check the encoding type on the form."
LABELS = "nought\none\n"
TRAIN = "".join(f"{digit}/{number}.png {digit}\n" for digit in (0, 1) for number in range(6))
RELATIVE = "is a relative path; name the folder of these images too."
VAL = "0/8.png 0\r\n1/9.png 1\r\n1/8.png 1\r\n"


@pytest.fixture(autouse=True)
def _open_server(settings):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [settings.BASE_DIR.__class__("/")]


def upload(content, name="list.txt"):
    return SimpleUploadedFile(name, content if isinstance(content, bytes) else content.encode())


@pytest.fixture
def form(digits_folder):
    """Files to upload, with what the test changes; None leaves a field out."""

    def form(**fields):
        right = {
            "dataset_name": "digits",
            "method": "textfile",
            "resize_width": 28,
            "resize_height": 28,
            "textfile_train_images": upload(TRAIN, "train.txt"),
            "textfile_labels_file": upload(LABELS, "labels.txt"),
            "textfile_train_folder": str(digits_folder),
        }
        return {name: value for name, value in (right | fields).items() if value is not None}

    return form


@pytest.fixture
def local_form(tmp_path, digits_folder):
    """Text files on the server, with what the test changes; None leaves a field out."""

    def local_form(**fields):
        right = {"dataset_name": "digits", "method": "textfile", "textfile_use_local_files": "y"}
        for field, content in (("train_images", TRAIN), ("labels_file", LABELS), ("val_images", VAL)):
            file = tmp_path / f"{field}.txt"
            file.write_text(content)
            right[f"textfile_local_{field}"] = str(file)
        right |= {f"textfile_{split}_folder": str(digits_folder) for split in ("train", "val")}
        return {name: value for name, value in (right | fields).items() if value is not None}

    return local_form


def built(client):
    """The only dataset, built, as its JSON."""
    dataset = Dataset.objects.get()
    build_dataset(dataset.pk)
    return client.get(f"/datasets/{dataset.pk}.json").json()


def test_uploaded_lists_become_a_dataset(client, form, digits_folder):
    val = {"textfile_use_val": "y", "textfile_val_images": upload(VAL), "textfile_val_folder": str(digits_folder)}
    answer = client.post(CREATE, form(resize_channels=1, **val))
    assert answer.json()["status"] == "Waiting"
    answer = built(client)
    image = {"image_width": 28, "image_height": 28, "image_channels": 1, "encoding": "png"}
    assert answer["status"] == "Done"
    assert answer["ParseFolderTasks"] == [
        {
            "name": "Parse Text Files (train/val)",
            "label_count": 2,
            "train_count": 12,
            "val_count": 3,
            "test_count": 0,
        }
    ]
    assert answer["CreateDbTasks"] == [
        {"name": "Create DB (train)", "entries": 12, **image},
        {"name": "Create DB (val)", "entries": 3, **image},
    ]
    assert Dataset.objects.get().categories == ["nought", "one"]


@pytest.mark.parametrize("content_type", ["multipart", "application/x-www-form-urlencoded", "application/json"])
def test_lists_on_the_server_can_be_named_in_every_kind_of_body(client, local_form, content_type):
    data = local_form(textfile_use_val="on")
    if content_type == "application/x-www-form-urlencoded":
        data = "&".join(f"{name}={value}" for name, value in data.items())
    client.post(CREATE, data, **({} if content_type == "multipart" else {"content_type": content_type}))
    assert [task["entries"] for task in built(client)["CreateDbTasks"]] == [12, 3]


def test_without_the_flags_there_are_no_other_splits_whatever_is_sent(client, form):
    client.post(CREATE, form(textfile_val_images=upload("nonsense"), textfile_val_folder="nonsense"))
    assert [task["name"] for task in built(client)["CreateDbTasks"]] == ["Create DB (train)"]


def test_a_test_list_makes_a_test_split(client, form, digits_folder):
    files = {"textfile_test_images": upload(VAL), "textfile_test_folder": str(digits_folder)}
    client.post(CREATE, form(textfile_use_test="1", **files))
    assert built(client)["ParseFolderTasks"][0]["test_count"] == 3


def test_lines_are_shuffled_unless_told_otherwise(client, form):
    client.post(CREATE, form())
    client.post(CREATE, form(textfile_shuffle="0"))
    orders = []
    for dataset in Dataset.objects.order_by("textfile_shuffle"):
        build_dataset(dataset.pk)
        orders.append([line.rsplit("/", 2)[1:] for line in (dataset.directory / "train.txt").read_text().splitlines()])
    assert orders[0] == [line.split("/") for line in TRAIN.splitlines()]
    assert orders[0] != orders[1]


def test_the_job_keeps_the_lists_as_they_were_when_it_was_created(client, local_form, tmp_path):
    client.post(CREATE, local_form())
    (tmp_path / "train_images.txt").write_text("overwritten since")
    assert built(client)["status"] == "Done"


@pytest.mark.parametrize(
    "fields, wrong",
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
def test_a_wrong_field_gets_its_own_message_and_creates_nothing(client, form, fields, wrong):
    fields = {name: upload(value) if isinstance(value, bytes) else value for name, value in fields.items()}
    wrong = {"textfile_train_images": wrong} if isinstance(wrong, str) else wrong
    assert field_errors(client.post(CREATE, form(**fields))) == wrong
    assert not Dataset.objects.exists()
    assert not settings.DIGITS_JOBS_DIR.exists() or not list(settings.DIGITS_JOBS_DIR.iterdir())


def test_wrong_lines_of_several_files_are_told_of_at_once(client, form):
    lists = {"textfile_val_images": upload("x 9\n"), "textfile_labels_file": upload("one"), "textfile_use_val": "1"}
    assert set(field_errors(client.post(CREATE, form(**lists)))) == {"textfile_labels_file", "textfile_val_images"}


def test_a_list_on_the_server_that_is_missing_or_no_file(client, local_form, tmp_path):
    paths = {"textfile_local_train_images": str(tmp_path / "gone"), "textfile_local_labels_file": str(tmp_path)}
    assert field_errors(client.post(CREATE, local_form(**paths))) == {
        "textfile_local_train_images": f"{tmp_path / 'gone'} does not exist.",
        "textfile_local_labels_file": f"{tmp_path} is not a file.",
    }


def test_neither_lists_nor_folders_outside_the_data_roots_can_be_named(client, local_form, settings, tmp_path):
    settings.DIGITS_DATA_ROOTS = [tmp_path]
    paths = {"textfile_local_train_images": "/etc/passwd", "textfile_train_folder": "/etc"}
    wrong = field_errors(client.post(CREATE, local_form(textfile_val_folder=None, **paths)))
    assert set(wrong) == set(paths)
    assert all("is not in a folder that this server may read" in message for message in wrong.values())


def test_images_outside_the_data_roots_are_not_read(client, form, settings, tmp_path, digits_folder):
    settings.DIGITS_DATA_ROOTS = [tmp_path]
    lines = "".join(f"{digits_folder}/{line}\n" for line in TRAIN.splitlines())
    client.post(CREATE, form(textfile_train_images=upload(lines), textfile_train_folder=None))
    answer = built(client)
    assert answer["status"] == "Error"
    assert "it is not in a folder that this server may read" in answer["error"]


def test_a_list_that_is_too_large_creates_nothing(client, form, monkeypatch):
    monkeypatch.setattr(textfile_source, "MAX_LIST_BYTES", 10)
    assert field_errors(client.post(CREATE, form())) == {"textfile_labels_file": "labels.txt is larger than 0 MiB."}
    assert not list(settings.DIGITS_JOBS_DIR.iterdir())


def test_fields_of_the_other_method_are_not_looked_at(client, form):
    assert client.post(CREATE, form(folder_train="/nowhere", folder_pct_val="x", has_val_folder="?")).status_code == 200


def test_a_flag_that_is_neither_true_nor_false(client, form):
    assert set(field_errors(client.post(CREATE, form(textfile_use_val="maybe")))) == {"textfile_use_val"}


def test_a_method_of_any_type_is_no_fault_of_the_server(client):
    answer = client.post(CREATE, {"method": ["textfile"], "dataset_name": "x"}, content_type="application/json")
    assert set(field_errors(answer)) >= {"method"}


def test_the_page_shows_the_form_of_both_methods(client):
    page = client.get(CREATE.removesuffix(".json"), HTTP_ACCEPT="text/html").content.decode()
    assert 'name="textfile_train_images"' in page
    assert 'name="folder_train"' in page
