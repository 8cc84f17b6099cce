"""Trainings of custom networks and of networks from another model, as a worker's task runs them."""

import numpy as np
import pytest
from django.core.exceptions import ValidationError

from datasets import services as dataset_services
from datasets.tasks import build_dataset
from digits_project.jobs.models import Status
from inference.engine.predictor import Predictor
from models_app import training_task
from models_app.kinds import GENERIC
from models_app.networks import prototxt, standard
from models_app.results import Snapshot
from tests.support.samples.digits_job_samples import message, weights_blob
from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.samples.network_samples import CLASSIFIER, REGRESSION
from tests.support.samples.prebuilt_samples import caffe_order, datum, photo_crops, write_lmdb
from tests.support.samples.row_samples import write_weights
from tests.support.samples.training_samples import snapshot_weights

pytestmark = pytest.mark.django_db
NO_CHANGE = {"learning_rate": 1e-30, "lr_policy": "fixed"}


@pytest.fixture
def train(make_model, run_training_task):
    """A function that creates a model of these fields on a dataset and trains it to its end."""

    def train(dataset, **fields):
        return run_training_task(make_model(dataset, **fields))

    return train


@pytest.fixture
def three_digits(make_dataset, tmp_path):
    """A dataset of three categories that is Done."""
    dataset = make_dataset(folder_train=str(write_28_pixel_digits(tmp_path / "three", categories=3)))
    build_dataset(dataset.pk)
    dataset.refresh_from_db()
    return dataset


@pytest.fixture
def gradients(tmp_path):
    """A generic dataset that is Done: 10×10 images, two numbers as label."""
    images = [datum(caffe_order(image)) for image in photo_crops(12, size=10)]
    labels = [datum(np.array([i, -i], np.float32).reshape(2, 1, 1)) for i in range(12)]
    fields = {"name": "gradients", "kind": "generic", "method": "prebuilt"}
    for split, part in {"train": slice(8), "val": slice(8, None)}.items():
        fields[f"prebuilt_{split}_images"] = str(write_lmdb(tmp_path / f"{split}_images", images[part]))
        fields[f"prebuilt_{split}_labels"] = str(write_lmdb(tmp_path / f"{split}_labels", labels[part]))
    dataset = dataset_services.create_dataset("ada", **fields)
    build_dataset(dataset.pk)
    dataset.refresh_from_db()
    return dataset


def custom(text, **fields):
    return {"method": "custom", "standard_network": "", "custom_network": text} | fields


def weights(model):
    return snapshot_weights(model.newest_snapshot.directory)


def test_a_network_from_the_tests_of_digits_is_trained(built_dataset, train):
    model = train(built_dataset, **custom(CLASSIFIER, crop_size=20, batch_size=10, batch_accumulation=2))
    assert (model.status, model.error) == (Status.DONE, "")
    assert model.metrics.get(split="val", epoch=1).accuracy is not None
    scores = Predictor(model.newest_snapshot.onnx_file).scores(np.zeros((2, 28, 28, 1), np.uint8))
    assert scores.shape == (2, 10)


def test_a_standard_network_sent_as_prototxt_trains_to_the_same_weights(built_dataset, train):
    text = prototxt.write(standard("lenet", (1, 28, 28), 10))
    models = [train(built_dataset, batch_size=64), train(built_dataset, **custom(text, batch_size=64))]
    first, second = map(weights, models)
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_a_model_takes_over_all_layers_of_another_but_the_one_of_its_categories(built_dataset, three_digits, train):
    first = train(built_dataset)
    fields = {"method": "previous", "standard_network": "", "previous": first, "previous_epoch": 1}
    second = train(three_digits, **fields, **NO_CHANGE)
    assert (second.status, second.error) == (Status.DONE, "")
    before, after = weights(first), weights(second)
    assert after["ip2_retrain.weight"].shape == (3, 500)
    kept = {name for name in before if not name.startswith("ip2.")}
    assert len(kept) == 6
    assert second.afresh == ["ip2_retrain"]
    assert second.warnings == [
        "Layer ip2_retrain starts with random weights: the file has no layer with this name",
        "The file has layers that the network does not have: ip2",
    ]
    assert all(np.array_equal(before[name], after[name]) for name in kept)


def test_a_model_starts_from_the_weights_at_a_path(built_dataset, train, tmp_path):
    network = prototxt.read(CLASSIFIER, (1, 28, 28), 10)
    initial = write_weights(tmp_path, network) | {"hidden.bias": np.arange(1, 11, dtype=np.float32)}
    np.savez(tmp_path / "weights.npz", **initial)
    path = str(tmp_path / "weights.npz")
    model = train(built_dataset, **custom(CLASSIFIER, custom_network_snapshot=path), **NO_CHANGE)
    assert np.array_equal(weights(model)["hidden.bias"], initial["hidden.bias"])


TWO_LAYERS = """
layer { name: "hid" type: "InnerProduct" bottom: "data" top: "hid" inner_product_param { num_output: 4 } }
layer { name: "ip" type: "InnerProduct" bottom: "hid" top: "ip" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" exclude { stage: "deploy" } }
"""


def write_caffemodel(path, **layers):
    """Write a file with arrays of zeros of these shapes; return its path."""
    blobs = {
        name: b"".join(message(7, weights_blob(np.zeros(shape))) for shape in shapes) for name, shapes in layers.items()
    }
    path.write_bytes(b"".join(message(100, message(1, name.encode()) + found) for name, found in blobs.items()))
    return str(path)


HEAD = "Layer ip starts with random weights: its shapes are 1000×4 and 1000 in the file, 10×4 and 10 in the network"


def test_a_layer_that_did_not_fit_is_named_everywhere_and_after_a_resume_too(
    built_dataset, train, client, admin_client, open_server, tmp_path
):
    path = write_caffemodel(tmp_path / "head.caffemodel", hid=((4, 784), (4,)), ip=((1000, 4), (1000,)))
    model = train(built_dataset, **custom(TWO_LAYERS, custom_network_snapshot=path))
    assert (model.status, model.error) == (Status.DONE, "")
    assert (model.taken_over, model.afresh, model.warnings) == (["hid"], ["ip"], [HEAD])
    facts = client.get(f"/models/{model.pk}.json").json()
    assert (facts["taken_over"], facts["afresh"], facts["warnings"]) == (["hid"], ["ip"], [HEAD])
    assert HEAD in client.get(f"/models/{model.pk}", HTTP_ACCEPT="text/html").content.decode()
    assert HEAD in admin_client.get(f"/admin/models_app/trainedmodel/{model.pk}/change/").content.decode()
    assert HEAD in (model.directory / "train.log").read_text()
    event = {"engine": "mxnet 1.9.1", "taken_over": (), "afresh": (), "warnings": ()}  # as a resumed training reports
    training_task.STORE["started"](model, event)
    model.refresh_from_db()
    assert model.afresh == ["ip"]


def test_weights_without_a_matching_layer_end_the_training_with_the_reason(built_dataset, train, tmp_path):
    path = write_caffemodel(tmp_path / "other.caffemodel", conv1=((4, 9), (4,)))
    model = train(built_dataset, **custom(TWO_LAYERS, custom_network_snapshot=path))
    assert model.status == Status.ERROR
    assert "other.caffemodel has no weights for any layer of the network" in model.error


def test_the_json_of_a_model_without_initial_weights_has_no_warnings(built_dataset, train, client, open_server):
    model = train(built_dataset, **custom(TWO_LAYERS))
    assert not {"taken_over", "afresh", "warnings"} & client.get(f"/models/{model.pk}.json").json().keys()


NORM = 'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "data" '
STILL = NORM + "batch_norm_param { use_global_stats: true } }\n"


def test_fixed_running_averages_that_the_file_lacks_end_the_training_with_the_reason(built_dataset, train, tmp_path):
    path = write_caffemodel(tmp_path / "half.caffemodel", hid=((4, 784), (4,)))
    model = train(built_dataset, **custom(STILL + TWO_LAYERS, custom_network_snapshot=path))
    assert model.status == Status.ERROR
    assert model.error.startswith("layer bn: use_global_stats: true fixes its running averages")


def test_a_model_whose_initial_snapshot_is_deleted_ends_with_the_reason(built_dataset, make_model, run_training_task):
    first = make_model(built_dataset)
    fields = {"method": "previous", "standard_network": "", "previous": first, "previous_epoch": 3}
    with pytest.raises(ValidationError, match="Its snapshot of epoch 3 was deleted"):
        make_model(built_dataset, **fields)
    snapshot = Snapshot.objects.create(trained_model=first, epoch=3, folder="snapshots/epoch-3")
    second = make_model(built_dataset, **fields)
    snapshot.delete()
    run_training_task(second)
    assert second.status == Status.ERROR
    assert second.error == "The snapshot that it starts from, of epoch 3, was deleted."


def test_a_generic_network_is_trained_and_measured_by_its_loss(gradients, train):
    model = train(gradients, **custom(REGRESSION, kind=GENERIC, batch_size=4, train_epochs=2))
    assert (model.status, model.error) == (Status.DONE, "")
    measured = model.metrics.get(split="val", epoch=2)
    assert measured.accuracy is None
    assert measured.loss > 0
    outputs = Predictor(model.newest_snapshot.onnx_file).outputs(np.zeros((2, 10, 10, 3), np.uint8))
    assert {name: array.shape for name, array in outputs.items()} == {"output": (2, 2)}


def test_a_generic_network_on_categories_can_have_more_outputs_than_categories(built_dataset, train):
    text = CLASSIFIER.replace('top: "output"\n}', 'top: "output" inner_product_param { num_output: 12 }\n}', 1)
    model = train(built_dataset, **custom(text, kind=GENERIC))
    assert (model.status, model.error) == (Status.DONE, "")


def test_a_model_created_before_its_dataset_was_built_reports_fewer_scores_than_categories(
    make_dataset, make_model, run_training_task
):
    text = CLASSIFIER.replace('top: "output"\n}', 'top: "output" inner_product_param { num_output: 9 }\n}', 1)
    dataset = make_dataset()
    model = make_model(dataset, **custom(text))
    build_dataset(dataset.pk)
    run_training_task(model)
    message = "layer hidden: num_output is 9, but the dataset has 10 categories; make it 10, or leave it out"
    assert (model.status, model.error) == (Status.ERROR, message)
