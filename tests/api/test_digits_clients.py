"""What scripts and tests written for DIGITS send and expect, where nothing else in the tests says so."""

from dataclasses import replace

import pytest

from datasets.models import Dataset
from datasets.tasks import build_dataset
from models_app.models import TrainedModel
from models_app.networks import prototxt
from models_app.training.trainer import train
from models_app.training_task import train_config
from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.samples.network_samples import REGRESSION
from tests.support.samples.prebuilt_samples import encoded_datum, photo_crops, write_lmdb

pytestmark = pytest.mark.django_db
DATASETS, MODELS = "/datasets/images/classification.json", "/models/images/classification.json"
BROWSER = {"Accept": "text/html"}
IDENTITY = """
layer { name: "identity" type: "Power" bottom: "data" top: "output" }
layer { name: "loss" type: "EuclideanLoss" bottom: "output" bottom: "label" top: "loss" exclude { stage: "deploy" } }
"""
IMAGES_ALONE = """
layer { name: "data" type: "Data" top: "data" include { phase: TRAIN } transform_param { crop_size: 8 } }
layer { name: "data" type: "Data" top: "data" include { phase: TEST } transform_param { crop_size: 8 } }
"""


@pytest.fixture(autouse=True)
def _open_server(settings):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_WIRE_FORMAT = "digits"
    settings.DIGITS_DATA_ROOTS = [settings.BASE_DIR.__class__("/")]


@pytest.fixture
def parsed(client, tmp_path):
    """The ParseFolderTasks of a dataset of eight images in each of three categories, with these fields."""
    write_28_pixel_digits(tmp_path / "images", categories=3, each=8)

    def parsed(**fields):
        size = {"resize_width": 28, "resize_height": 28, "resize_channels": 1}
        form = {"dataset_name": "digits", "folder_train": str(tmp_path / "images"), **size}
        job_id = client.post(DATASETS, form | fields).json()["id"]
        build_dataset(job_id)
        return client.get(f"/datasets/{job_id}.json").json()["ParseFolderTasks"]

    return parsed


@pytest.mark.parametrize("split, rest, name", [("val", "test", "train/test"), ("test", "val", "train/val")])
def test_a_folder_of_a_splits_own_is_parsed_by_a_task_of_its_own(parsed, tmp_path, split, rest, name):
    write_28_pixel_digits(tmp_path / "own", categories=2, each=5)
    own = {f"has_{split}_folder": "True", f"folder_{split}": str(tmp_path / "own")}
    none = {"train_count": 0, "val_count": 0, "test_count": 0}
    assert parsed(folder_pct_val="25", folder_pct_test="25", **own) == [
        {"name": f"Parse Folder ({name})", "label_count": 3} | none | {"train_count": 18, f"{rest}_count": 6},
        {"name": f"Parse Folder ({split})", "label_count": 2} | none | {f"{split}_count": 10},
    ]


@pytest.mark.parametrize(
    "page, words",
    [
        ("/", "Home"),
        ("/datasets", "Datasets"),
        ("/models", "Models"),
        ("/datasets/images/classification/new", "New Image Classification Dataset"),
        ("/datasets/images/generic/new", "New Image Dataset"),
        ("/models/images/classification/new", "New Image Classification Model"),
        ("/models/images/generic/new", "New Image Model"),
    ],
)
def test_the_pages_of_digits_are_where_they_were(client, page, words):
    answer = client.get(page, headers=BROWSER, follow=True)
    assert answer.status_code == 200
    assert words in answer.content.decode()


def test_a_form_can_name_its_user_without_any_cookie(client, digits_folder):
    client.cookies["username"] = "fred"
    client.post(DATASETS, {"dataset_name": "digits", "folder_train": str(digits_folder), "username": "luke"})
    client.post(f"{DATASETS}?username=et", {"dataset_name": "digits", "folder_train": str(digits_folder)})
    assert [dataset.owner for dataset in Dataset.objects.order_by("created_at")] == ["luke", "et"]


def test_the_name_in_a_form_is_nobodys_where_there_are_accounts(client, django_user_model, settings, digits_folder):
    settings.DIGITS_AUTH = "required"
    client.force_login(django_user_model.objects.create_superuser("ada"))
    client.post(DATASETS, {"dataset_name": "digits", "folder_train": str(digits_folder), "username": "luke"})
    assert Dataset.objects.get().owner == "ada"


def test_data_layers_that_give_images_alone_get_the_labels_that_a_loss_reads():
    network = prototxt.read(IMAGES_ALONE + REGRESSION, (1, 10, 10), label_shape=(2, 1, 1))
    assert network.layers[0].tops == ("data", "label")
    assert network.input_shape == (1, 8, 8)
    assert network.outputs("deploy") == ["output"]


def test_images_that_are_their_own_labels_train_a_network_without_weights(client, tmp_path, cpu):
    """As DIGITS's test of image processing has it; one database is read as both."""
    database = write_lmdb(tmp_path / "images", [encoded_datum(image[..., 0]) for image in photo_crops(6, size=10)])
    both = {"prebuilt_train_images": str(database), "prebuilt_train_labels": str(database / "data.mdb")}
    created = client.post("/datasets/images/generic.json", {"dataset_name": "pictures", **both})
    build_dataset(created.json()["id"])
    form = {"model_name": "identity", "dataset": created.json()["id"], "method": "custom", "custom_network": IDENTITY}
    more = {"train_epochs": "1", "use_mean": "none", "framework": "caffe", "random_seed": str(0xCAFEBABE)}
    model = TrainedModel.objects.get(pk=client.post("/models/images/generic.json", form | more).json()["id"])
    events = []
    train(replace(train_config(model, [cpu]), threads=1), events.append, lambda: None)
    assert [event["loss"] for event in events if event["event"] == "metrics"] == [0.0]
    assert [event["epoch"] for event in events if event["event"] == "snapshot"] == [1]
