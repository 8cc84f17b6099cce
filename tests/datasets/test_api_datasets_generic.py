"""Generic datasets over HTTP: databases that were built elsewhere, checked before the job is Done."""

import numpy as np
import pytest
from django.conf import settings

from datasets.imagedb.foreign.pairs import Pairs
from datasets.models import Dataset
from datasets.tasks import build_dataset
from tests.support.api_requests import field_errors
from tests.support.samples.prebuilt_samples import caffe_order, datum, photo_crops, write_lmdb

pytestmark = pytest.mark.django_db
CREATE = "/datasets/images/generic.json"
LABELS_FOR_BOTH = "Name a database of labels for both splits, or for neither."


@pytest.fixture(autouse=True)
def _open_server(settings):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [settings.BASE_DIR.__class__("/")]


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
    """A form that is right, with what the test changes; None leaves a field out."""

    def form(**fields):
        right = {"dataset_name": "gradients", **databases}
        return {name: value for name, value in (right | fields).items() if value is not None}

    return form


def built(client):
    """The only dataset, built, as its JSON."""
    dataset = Dataset.objects.get()
    build_dataset(dataset.pk)
    return client.get(f"/datasets/{dataset.pk}.json").json()


@pytest.mark.parametrize("content_type", ["multipart", "application/x-www-form-urlencoded", "application/json"])
def test_prebuilt_databases_become_a_generic_dataset(client, form, content_type):
    data = form(method="prebuilt")
    if content_type == "application/x-www-form-urlencoded":
        data = "&".join(f"{name}={value}" for name, value in data.items())
    answer = client.post(CREATE, data, **({} if content_type == "multipart" else {"content_type": content_type}))
    dataset = Dataset.objects.get()
    assert answer.json() == {"job_id": dataset.pk, "id": dataset.pk, "name": "gradients", "status": "Waiting"}
    image = {"image_width": 10, "image_height": 10, "image_channels": 3}
    assert built(client) == {
        "id": dataset.pk,
        "name": "gradients",
        "directory": str(dataset.directory),
        "status": "Done",
        "AnalyzeDbTasks": [
            {"name": "Analyze DB (train)", "image_count": 6, **image},
            {"name": "Analyze DB (val)", "image_count": 4, **image},
        ],
    }


def test_the_row_tells_what_a_network_has_to_fit(client, form):
    client.post(CREATE, form())
    built(client)
    dataset = Dataset.objects.get()
    assert (dataset.kind, dataset.image_shape, dataset.label_shape) == ("generic", (3, 10, 10), [2, 1, 1])
    assert (dataset.entries("train"), dataset.entries("val")) == (6, 4)
    with Pairs(dataset.directory / "val.rec", dataset.label_shape) as pairs:
        assert pairs[1][1].ravel().tolist() == [7, -7]


def test_the_status_has_the_type_of_digits(client, form):
    client.post(CREATE, form())
    assert client.get(f"/datasets/{Dataset.objects.get().pk}/status").json()["type"] == "Generic Image Dataset"


def test_images_alone_carry_their_own_labels(client, form):
    alone = form(prebuilt_train_labels="", prebuilt_val_images="", prebuilt_val_labels="")
    client.post(CREATE, alone)
    assert [task["name"] for task in built(client)["AnalyzeDbTasks"]] == ["Analyze DB (train)"]


def test_a_mean_of_ones_own_is_used(client, form, tmp_path):
    mean = np.full((3, 10, 10), 99, np.float32)
    np.save(tmp_path / "mean.npy", mean)
    client.post(CREATE, form(prebuilt_mean_file=str(tmp_path / "mean.npy")))
    built(client)
    assert np.array_equal(np.load(Dataset.objects.get().directory / "mean.npy"), mean)


def test_a_database_that_is_damaged_inside_fails_the_job_with_the_entry(client, form, tmp_path):
    images = [datum(caffe_order(image)) for image in photo_crops(6, size=10)]
    spoilt = write_lmdb(tmp_path / "spoilt", [*images[:5], images[5][:-9]])
    client.post(CREATE, form(prebuilt_train_images=str(spoilt)))
    answer = built(client)
    assert answer["status"] == "Error"
    assert answer["error"] == f"Entry '00000005' of {spoilt}/data.mdb can't be used: the message is cut short."


def test_counts_that_do_not_agree_fail_the_job(client, form, databases):
    client.post(CREATE, form(prebuilt_train_labels=databases["prebuilt_val_labels"]))
    assert "has 6 entries, but" in built(client)["error"]


@pytest.mark.parametrize(
    "fields, wrong",
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
        ({"prebuilt_val_images": ""}, {"prebuilt_val_images": "These images are missing to the labels."}),
        ({"prebuilt_train_labels": ""}, {"prebuilt_train_labels": LABELS_FOR_BOTH}),
        ({"prebuilt_val_labels": ""}, {"prebuilt_val_labels": LABELS_FOR_BOTH}),
    ],
)
def test_a_wrong_field_gets_its_own_message_and_creates_nothing(client, form, fields, wrong):
    assert field_errors(client.post(CREATE, form(**fields))) == wrong
    assert not Dataset.objects.exists()
    assert not settings.DIGITS_JOBS_DIR.exists()


def test_no_link_leads_out_of_the_data_roots(client, form, settings, tmp_path, databases):
    settings.DIGITS_DATA_ROOTS = [tmp_path / "allowed"]
    (tmp_path / "allowed" / "lmdb").mkdir(parents=True)
    (tmp_path / "allowed" / "lmdb" / "data.mdb").symlink_to(tmp_path / "train_images" / "data.mdb")
    train = {"prebuilt_train_images": str(tmp_path / "allowed" / "lmdb")}
    wrong = field_errors(client.post(CREATE, form(**train)))
    assert set(wrong) == set(databases)
    assert all("is not in a folder that this server may read" in message for message in wrong.values())


def test_without_the_suffix_the_answer_leads_to_the_jobs_page(client, form):
    answer = client.post(CREATE.removesuffix(".json"), form())
    assert (answer.status_code, answer["Location"]) == (302, f"/datasets/{Dataset.objects.get().pk}")
