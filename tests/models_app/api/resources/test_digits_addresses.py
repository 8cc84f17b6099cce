"""The further addresses of DIGITS: tables of jobs, clones, summary, gallery, large graph, downloads; and its keys."""

import base64
import io

import pytest
from PIL import Image

from datasets.models import Dataset
from digits_project.jobs import lifecycle
from digits_project.jobs.models import Status
from models_app.models import TrainedModel
from models_app.results import Metric
from tests.support.samples.row_samples import add_snapshot, with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
MODELS, DATASETS = "/models/images/classification.json", "/datasets/images/classification.json"
BROWSER = {"Accept": "text/html"}


@pytest.fixture
def measured(make_dataset, make_model):
    """A model with a snapshot and measurements of two epochs."""
    model = make_model(with_categories(make_dataset()), group_name="tries")
    add_snapshot(model, 1, seed=0)
    for epoch, loss, accuracy in ((1, 2.0, 0.5), (2, 1.0, 0.25)):
        for split in Metric.Split.values:
            Metric.objects.create(
                trained_model=model, split=split, epoch=epoch, loss=loss, accuracy=accuracy, learning_rate=0.01
            )
    return model


# --- tables ----------------------------------------------------------------------------------------------------------
def test_the_tables_list_running_and_ended_jobs_apart(client, measured, make_dataset):
    failed = make_dataset(name="failed")
    lifecycle.advance(failed, Status.ERROR)
    tables = client.get("/completed_jobs.json").json()
    assert [row["id"] for row in tables["running"]] == [measured.dataset_id, measured.pk]
    assert [(row["id"], row["type"], row["status_css"]) for row in tables["datasets"]] == [
        (failed.pk, "dataset", "danger")
    ]
    assert (tables["models"], tables["pretrained_models"]) == ([], [])
    assert "accuracy (val) max" in tables["model_output_fields"]
    second = client.get("/completed_jobs.json?page=2&page_size=1").json()
    assert [second[name] for name in ("running", "datasets", "models")] == [[], [], []]


def test_the_row_of_a_model_has_its_outputs_by_the_names_of_digits(client, measured):
    row = client.get(f"/jobs/{measured.pk}/table_data.json").json()["job"]
    expected = {"group": "tries", "type": "model", "dataset_id": measured.dataset_id, "progress": 0, "elapsed": 0.0}
    outputs = {
        "loss (train) last": 1.0,
        "loss (train) max": 2.0,
        "accuracy (val) last": 0.25,
        "accuracy (val) max": 0.5,
    }
    assert row.items() >= (expected | outputs).items()
    assert row["sparkline"] == [2.0, 1.0]


def test_the_tables_run_the_same_number_of_queries_for_any_number_of_jobs(
    client, measured, make_model, django_assert_max_num_queries
):
    for _ in range(4):
        make_model(measured.dataset)
    with django_assert_max_num_queries(8):
        client.get("/completed_jobs.json")


# --- clones ----------------------------------------------------------------------------------------------------------
def test_a_clone_of_a_model_has_all_its_columns(client, make_dataset):
    form = {
        "model_name": "m", "dataset": with_categories(make_dataset()).pk, "standard_networks": "alexnet",
        "train_epochs": 7, "learning_rate": 0.03, "lr_policy": "poly", "lr_poly_power": 2, "batch_size": 5,
        "aug_flip": "fliplr", "random_seed": 3, "input_size": 64, "group_name": "g",
    }  # fmt: skip
    first = client.post(MODELS, form).json()["id"]
    second = client.post(f"{MODELS}?clone={first}", {"model_name": "again", "batch_size": 6}).json()["id"]
    names = {"train_epochs", "learning_rate", "lr_policy", "lr_parameters", "aug_flip", "random_seed", "input_size",
             "group_name", "standard_network", "dataset_id"}  # fmt: skip
    models = [TrainedModel.objects.get(pk=pk) for pk in (first, second)]
    columns = [{name: getattr(model, name) for name in names} for model in models]
    assert columns[0] == columns[1]
    assert (models[1].name, models[1].batch_size) == ("again", 6)


def test_the_form_of_a_clone_begins_with_its_values(client, make_dataset):
    dataset = make_dataset(name="cats", resize_mode="fill")
    redirect = client.get(f"/clone/{dataset.pk}")
    assert redirect["Location"] == f"/datasets/images/classification?clone={dataset.pk}"
    page = client.get(redirect["Location"], headers=BROWSER).content.decode()
    assert 'value="cats"' in page
    assert 'value="fill" selected' in page
    defaults = client.get(f"{DATASETS}?clone={dataset.pk}").json()["defaults"]
    assert (defaults["dataset_name"], defaults["resize_mode"], defaults["resize_width"]) == ("cats", "fill", 28)
    assert client.post(f"{DATASETS}?clone={dataset.pk}", {}).status_code == 200
    assert Dataset.objects.filter(name="cats", resize_mode="fill").count() == 2


def test_a_form_does_not_clone_a_job_of_another_form(client, make_dataset, measured):
    assert client.get(f"/datasets/images/generic.json?clone={make_dataset().pk}").status_code == 404
    assert client.get(f"{DATASETS}?clone={measured.pk}").status_code == 404
    assert client.post(f"/clone/{measured.pk}")["Location"] == f"/models/images/classification?clone={measured.pk}"


# --- datasets --------------------------------------------------------------------------------------------------------
def test_the_summary_of_a_dataset_is_json_or_a_piece_of_a_page(client, built_dataset):
    summary = client.get(f"/datasets/summary.json?job_id={built_dataset.pk}").json()
    assert (summary["categories"], summary["entries"]) == (10, {"train": 90, "val": 30})
    page = client.get(f"/datasets/summary?job_id={built_dataset.pk}", headers=BROWSER).content.decode()
    assert "<li>10 categories</li>" in page
    assert client.get("/datasets/summary.json").json()["errors"][0]["field"] == "job_id"


def test_the_gallery_has_the_images_of_a_category(client, built_dataset):
    asked = f"job_id={built_dataset.pk}&db=val_db&label=3&size=2"
    found = client.get(f"/datasets/images/classification/explore.json?{asked}&page=1").json()
    assert (found["db"], found["total_entries"], found["labels"][3]) == ("val", 3, "3")
    assert [image["label"] for image in found["imgs"]] == ["3"]
    png = base64.b64decode(found["imgs"][0]["b64"].removeprefix("data:image/png;base64,"))
    assert Image.open(io.BytesIO(png)).size == (28, 28)
    assert client.get(f"/datasets/images/classification/explore.json?{asked}&db=test").status_code == 404
    page = client.get(f"/datasets/images/classification/explore?{asked}&page=40", headers=BROWSER)
    assert page["Location"] == f"/datasets/{built_dataset.pk}/images?split=val&category=3&page=2"


@pytest.mark.parametrize("encoding, kind", [("png", "PNG"), ("jpg", "JPEG"), ("none", "BMP")])
def test_the_resize_example_is_an_image_of_that_size(client, encoding, kind):
    form = {"width": 40, "height": 20, "channels": 3, "resize_mode": "crop", "encoding": encoding, "backend": "hdf5"}
    example = client.post("/datasets/images/resize-example.json", form).json()
    image = Image.open(io.BytesIO(base64.b64decode(example["image"].partition(",")[2])))
    assert (image.size, image.format) == ((40, 20), kind)
    assert 200 < example["bytes"] <= 40 * 20 * 3
    html = client.post("/datasets/images/resize-example", form, headers=BROWSER).content.decode()
    assert f'<img src="{example["image"]}" style="width:40px;height:20px" />' in html
    assert client.post("/datasets/images/resize-example.json", form | {"width": 0}).status_code == 400


# --- models ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["classification", "generic"])
def test_the_large_graph_has_every_point_of_the_curves(client, measured, kind):
    graph = client.get(f"/models/images/{kind}/large_graph.json?job_id={measured.pk}").json()
    assert ["loss-train", 2.0, 1.0] in graph["columns"]
    assert ["val_epochs", 1, 2] in graph["columns"]
    assert (graph["xs"]["accuracy-val"], graph["axes"]["accuracy-val"]) == ("val_epochs", "y2")
    page = client.get(f"/models/images/{kind}/large_graph?job_id={measured.pk}", headers=BROWSER)
    assert page["Location"] == f"/models/{measured.pk}"


@pytest.mark.parametrize("address, form", [("download", {"snapshot_epoch": "1"}), ("download.tgz?epoch=1", {})])
def test_a_model_is_downloaded_by_post_too(client, measured, address, form):
    response = client.post(f"/models/{measured.pk}/{address}", form)
    assert response["Content-Disposition"].startswith(f'attachment; filename="{measured.pk}_epoch_1.t')
    assert b"".join(response.streaming_content)[:2] == b"\x1f\x8b"  # gzip
    assert client.post(f"/models/{measured.pk}/download", {"snapshot_epoch": "9"}).status_code == 400


def test_the_json_of_a_model_has_the_keys_of_digits_in_its_wire_format_only(client, measured, settings):
    documented = client.get(f"/models/{measured.pk}.json").json()
    settings.DIGITS_WIRE_FORMAT = "digits"
    found = client.get(f"/models/{measured.pk}.json").json()
    added = {name: found[name] for name in found if name not in documented}
    assert added.pop("creation time").startswith(f"{measured.created_at:%Y-%m-%d %H:%M:%S}")
    assert added.pop("digits version")
    assert added == {
        "job id": measured.pk, "username": "ada", "image dimensions": [28, 28, 1], "image resize mode": "squash",
        "mean file": "mean.npy", "labels file": "labels.txt", "snapshot file": "snapshots/epoch-1/model.onnx",
        "model file": "network.prototxt", "framework": "mxnet", "mean subtraction": "image",
    }  # fmt: skip
    file = client.get(f"/files/{measured.pk}/{added['snapshot file']}")
    assert len(b"".join(file.streaming_content)) == int(file["Content-Length"]) > 1000
