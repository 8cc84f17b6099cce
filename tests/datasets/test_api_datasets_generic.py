"""Generic datasets over HTTP: databases that another program built, which the job checks."""

import numpy as np
import pytest
from django.conf import settings

from datasets import reports
from datasets.imagedb.foreign.pairs import Pairs
from datasets.models import Dataset
from datasets.tasks import make_report
from tests.support.api_requests import field_errors
from tests.support.samples.prebuilt_samples import caffe_order, datum, photo_crops, write_lmdb

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
BROWSER = {"Accept": "text/html"}
CREATE = "/datasets/images/generic.json"
LABELS_FOR_BOTH = "Name a database of labels for both splits, or for neither."


@pytest.fixture
def databases(tmp_path):
    """{field: path}: six images of 10×10 for training and four for validation, with two numbers each as labels."""
    images = [datum(caffe_order(image)) for image in photo_crops(10, size=10)]
    labels = [datum(np.array([i, -i], np.float32).reshape(2, 1, 1)) for i in range(10)]
    parts = {"train": slice(6), "val": slice(6, None)}
    for split, part in parts.items():
        write_lmdb(tmp_path / f"{split}_images", images[part])
        write_lmdb(tmp_path / f"{split}_labels", labels[part])
    return {
        f"prebuilt_{split}_{what}": str(tmp_path / f"{split}_{what}")
        for split in parts
        for what in ("images", "labels")
    }


@pytest.fixture
def form(databases):
    """A function that returns a valid form; arguments change fields, None removes one."""

    def form(**fields):
        valid = {"dataset_name": "gradients", **databases}
        return {name: value for name, value in (valid | fields).items() if value is not None}

    return form


@pytest.mark.parametrize("content_type", ["multipart", "application/x-www-form-urlencoded", "application/json"])
def test_prebuilt_databases_become_a_generic_dataset(client, form, content_type, build_json):
    data = form(method="prebuilt")
    if content_type == "application/x-www-form-urlencoded":
        data = "&".join(f"{name}={value}" for name, value in data.items())
    response = client.post(CREATE, data, **({} if content_type == "multipart" else {"content_type": content_type}))
    dataset = Dataset.objects.get()
    assert response.json() == {"job_id": dataset.pk, "id": dataset.pk, "name": "gradients", "status": "Waiting"}
    image = {"image_width": 10, "image_height": 10, "image_channels": 3}
    assert build_json() == {
        "id": dataset.pk,
        "name": "gradients",
        "directory": str(dataset.directory),
        "status": "Done",
        "AnalyzeDbTasks": [
            {"name": "Analyze DB (train)", "image_count": 6, **image},
            {"name": "Analyze DB (val)", "image_count": 4, **image},
        ],
    }


def test_a_generic_dataset_stores_the_shapes_that_a_network_needs(client, form, build_json):
    client.post(CREATE, form())
    build_json()
    dataset = Dataset.objects.get()
    assert (dataset.kind, dataset.image_shape, dataset.label_shape) == ("generic", (3, 10, 10), [2, 1, 1])
    assert (dataset.entries("train"), dataset.entries("val")) == (6, 4)
    with Pairs(dataset.directory / "val.rec", dataset.label_shape) as pairs:
        assert pairs[1][1].ravel().tolist() == [7, -7]


def test_a_generic_dataset_has_a_map_without_categories(client, form, build_json):
    client.post(CREATE, form())
    build_json()
    dataset = Dataset.objects.get()
    make_report(reports.start(dataset).pk)
    found = client.get(f"/datasets/{dataset.pk}/report/map.json").json()
    assert (found["images"], found["categories"], found["splits"]) == (10, [], ["train", "val"])
    columns = {name: len(values) for name, values in found["points"].items()}
    without = {"category": 0, "likelier": 0, "probability": 0}
    assert columns == {"x": 10, "y": 10, "split": 10, "record": 10} | without
    like = client.get(f"/datasets/{dataset.pk}/report/similar.json?image=val/3&count=50").json()
    assert len(like["similar"]) == 9
    assert {(image["category"], image["other_category"]) for image in like["similar"]} == {("", False)}
    assert "10 of 10 images" in client.get(f"/datasets/{dataset.pk}/report/map", headers=BROWSER).content.decode()


def test_the_status_of_a_generic_dataset_has_the_type_of_digits(client, form):
    client.post(CREATE, form())
    assert client.get(f"/datasets/{Dataset.objects.get().pk}/status").json()["type"] == "Generic Image Dataset"


def test_a_generic_dataset_needs_no_label_databases(client, form, build_json):
    images_only = form(prebuilt_train_labels="", prebuilt_val_images="", prebuilt_val_labels="")
    client.post(CREATE, images_only)
    assert [task["name"] for task in build_json()["AnalyzeDbTasks"]] == ["Analyze DB (train)"]


def test_a_generic_dataset_uses_the_given_mean_file(client, form, tmp_path, build_json):
    mean = np.full((3, 10, 10), 99, np.float32)
    np.save(tmp_path / "mean.npy", mean)
    client.post(CREATE, form(prebuilt_mean_file=str(tmp_path / "mean.npy")))
    build_json()
    assert np.array_equal(np.load(Dataset.objects.get().directory / "mean.npy"), mean)


def test_a_job_with_a_damaged_database_fails_and_names_the_entry(client, form, tmp_path, build_json):
    images = [datum(caffe_order(image)) for image in photo_crops(6, size=10)]
    damaged = write_lmdb(tmp_path / "damaged", [*images[:5], images[5][:-9]])
    client.post(CREATE, form(prebuilt_train_images=str(damaged)))
    facts = build_json()
    assert facts["status"] == "Error"
    assert facts["error"] == f"Entry '00000005' of {damaged}/data.mdb can't be used: the message is cut short."


def test_a_job_with_different_numbers_of_images_and_labels_fails(client, form, databases, build_json):
    client.post(CREATE, form(prebuilt_train_labels=databases["prebuilt_val_labels"]))
    assert "has 6 entries, but" in build_json()["error"]


@pytest.mark.parametrize(
    "fields, errors",
    [
        ({"dataset_name": None}, {"dataset_name": "This field is required."}),
        ({"method": "folder"}, {"method": '"folder" is not a valid choice. Choose prebuilt.'}),
        ({"prebuilt_train_images": None}, {"prebuilt_train_images": "This field is required."}),
        ({"prebuilt_train_images": "/no/such"}, {"prebuilt_train_images": "/no/such does not exist."}),
        (
            {"prebuilt_train_images": "/usr"},
            {"prebuilt_train_images": "/usr holds no data.mdb: it is not an LMDB."},
        ),
        (
            {"prebuilt_val_labels": "/etc/passwd"},
            {"prebuilt_val_labels": "/etc/passwd is neither an LMDB nor a RecordIO file."},
        ),
        (
            {"prebuilt_mean_file": "/etc/passwd"},
            {"prebuilt_mean_file": "/etc/passwd is neither a .binaryproto nor a .npy file."},
        ),
        ({"prebuilt_mean_file": "/no/such.npy"}, {"prebuilt_mean_file": "/no/such.npy does not exist."}),
        (
            {"prebuilt_val_images": ""},
            {"prebuilt_val_images": "Required with prebuilt_val_labels: the images of these labels."},
        ),
        ({"prebuilt_train_labels": ""}, {"prebuilt_train_labels": LABELS_FOR_BOTH}),
        ({"prebuilt_val_labels": ""}, {"prebuilt_val_labels": LABELS_FOR_BOTH}),
    ],
)
def test_an_invalid_field_of_a_generic_form_is_reported_and_creates_nothing(client, form, fields, errors):
    assert field_errors(client.post(CREATE, form(**fields))) == errors
    assert not Dataset.objects.exists()
    assert not settings.DIGITS_JOBS_DIR.exists()


def test_prebuilt_databases_outside_the_data_roots_are_rejected(client, form, settings, tmp_path, databases):
    settings.DIGITS_DATA_ROOTS = [tmp_path / "allowed"]
    (tmp_path / "allowed" / "lmdb").mkdir(parents=True)
    (tmp_path / "allowed" / "lmdb" / "data.mdb").symlink_to(tmp_path / "train_images" / "data.mdb")
    train = {"prebuilt_train_images": str(tmp_path / "allowed" / "lmdb")}
    errors = field_errors(client.post(CREATE, form(**train)))
    assert set(errors) == set(databases)
    assert all("is not in a folder that this server may read" in message for message in errors.values())


def test_a_generic_form_without_json_suffix_redirects_to_the_page_of_the_job(client, form):
    response = client.post(CREATE.removesuffix(".json"), form())
    assert (response.status_code, response["Location"]) == (302, f"/datasets/{Dataset.objects.get().pk}")
