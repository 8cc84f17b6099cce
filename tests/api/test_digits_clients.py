"""Requests of scripts and tests written for DIGITS that no other module tests."""

from dataclasses import replace

import pytest

from datasets.models import Dataset
from datasets.tasks import build_dataset
from digits_project import __version__
from models_app.models import TrainedModel
from models_app.networks import prototxt
from models_app.training.trainer import train
from models_app.training_task import train_config
from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.samples.network_samples import REGRESSION
from tests.support.samples.prebuilt_samples import encoded_datum, photo_crops, write_lmdb

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server", "digits_wire_format")]
DATASETS, MODELS = "/datasets/images/classification.json", "/models/images/classification.json"
BROWSER = {"Accept": "text/html"}
IDENTITY = """
layer { name: "identity" type: "Power" bottom: "data" top: "output" }
layer { name: "loss" type: "EuclideanLoss" bottom: "output" bottom: "label" top: "loss" exclude { stage: "deploy" } }
"""
IMAGES_ONLY = """
layer { name: "data" type: "Data" top: "data" include { phase: TRAIN } transform_param { crop_size: 8 } }
layer { name: "data" type: "Data" top: "data" include { phase: TEST } transform_param { crop_size: 8 } }
"""


@pytest.fixture
def digits_wire_format(settings):
    settings.DIGITS_WIRE_FORMAT = "digits"


@pytest.fixture
def parse_folder_tasks(client, tmp_path):
    """A function that builds a dataset of three categories with eight images each and returns its ParseFolderTasks."""
    write_28_pixel_digits(tmp_path / "images", categories=3, each=8)

    def parse_folder_tasks(**fields):
        size = {"resize_width": 28, "resize_height": 28, "resize_channels": 1}
        form = {"dataset_name": "digits", "folder_train": str(tmp_path / "images"), **size}
        job_id = client.post(DATASETS, form | fields).json()["id"]
        build_dataset(job_id)
        return client.get(f"/datasets/{job_id}.json").json()["ParseFolderTasks"]

    return parse_folder_tasks


@pytest.mark.parametrize("split, rest, name", [("val", "test", "train/test"), ("test", "val", "train/val")])
def test_a_separate_folder_of_a_split_has_its_own_parse_folder_task(parse_folder_tasks, tmp_path, split, rest, name):
    write_28_pixel_digits(tmp_path / "own", categories=2, each=5, first=8)  # no copies of the others
    own = {f"has_{split}_folder": "True", f"folder_{split}": str(tmp_path / "own")}
    none = {"train_count": 0, "val_count": 0, "test_count": 0}
    assert parse_folder_tasks(folder_pct_val="25", folder_pct_test="25", **own) == [
        {"name": f"Parse Folder ({name})", "label_count": 3} | none | {"train_count": 18, f"{rest}_count": 6},
        {"name": f"Parse Folder ({split})", "label_count": 2} | none | {f"{split}_count": 10},
    ]


@pytest.mark.parametrize(
    "page, title",
    [
        ("/", "Home"),
        ("/datasets", "Datasets"),
        ("/models", "Models"),
        ("/datasets/images/classification/new", "New dataset"),
        ("/datasets/images/generic/new", "New Image Dataset"),
        ("/models/images/classification/new", "New model"),
        ("/models/images/generic/new", "New model of your own"),
    ],
)
def test_the_page_urls_of_digits_still_work(client, page, title):
    response = client.get(page, headers=BROWSER, follow=True)
    assert response.status_code == 200
    assert title in response.content.decode()


def test_the_username_of_a_form_overrides_the_cookie(client, digits_folder):
    client.cookies["username"] = "fred"
    client.post(DATASETS, {"dataset_name": "digits", "folder_train": str(digits_folder), "username": "luke"})
    client.post(f"{DATASETS}?username=et", {"dataset_name": "digits", "folder_train": str(digits_folder)})
    assert [dataset.owner for dataset in Dataset.objects.order_by("created_at")] == ["luke", "et"]


def test_the_username_of_a_form_is_ignored_on_a_server_with_accounts(
    client, django_user_model, settings, digits_folder
):
    settings.DIGITS_AUTH = "required"
    client.force_login(django_user_model.objects.create_superuser("ada"))
    client.post(DATASETS, {"dataset_name": "digits", "folder_train": str(digits_folder), "username": "luke"})
    assert Dataset.objects.get().owner == "ada"


def test_data_layers_without_labels_get_the_labels_that_the_loss_needs():
    network = prototxt.read(IMAGES_ONLY + REGRESSION, (1, 10, 10), label_shape=(2, 1, 1))
    assert network.layers[0].tops == ("data", "label")
    assert network.input_shape == (1, 8, 8)
    assert network.outputs("deploy") == ["output"]


def test_a_network_without_weights_trains_on_images_that_are_their_own_labels(client, tmp_path, cpu):
    """DIGITS's own test of image processing does this: one database is both images and labels."""
    database = write_lmdb(tmp_path / "images", [encoded_datum(image[..., 0]) for image in photo_crops(6, size=10)])
    both = {"prebuilt_train_images": str(database), "prebuilt_train_labels": str(database / "data.mdb")}
    created = client.post("/datasets/images/generic.json", {"dataset_name": "pictures", **both})
    build_dataset(created.json()["id"])
    form = {"model_name": "identity", "dataset": created.json()["id"], "method": "custom", "custom_network": IDENTITY}
    more = {"train_epochs": "1", "use_mean": "none", "framework": "caffe", "random_seed": str(0xCAFEBABE)}
    model = TrainedModel.objects.get(pk=client.post("/models/images/generic.json", form | more).json()["id"])
    events = []
    config = replace(train_config(model, [cpu]), threads=1, engine="mxnet")  # the engine that this process has
    train(config, events.append, lambda: None)
    assert [event["loss"] for event in events if event["event"] == "metrics"] == [0.0]
    assert [event["epoch"] for event in events if event["event"] == "snapshot"] == [1]


def test_the_index_begins_with_the_version_and_the_folder_of_the_jobs(client, settings):
    index = client.get("/index.json").json()
    assert list(index) == ["version", "jobs_dir", "datasets", "models"]
    assert (index["version"], index["jobs_dir"]) == (__version__, str(settings.DIGITS_JOBS_DIR))
    settings.DIGITS_WIRE_FORMAT = "documented"
    assert list(client.get("/index.json").json()) == ["datasets", "models"]
