"""Models that start from weights that were trained elsewhere: method=pretrained."""

import json

import numpy as np
import pytest

from digits_project.jobs.models import Status
from models_app.models import TrainedModel
from models_app.networks.fine_tuning import FineTuning
from tests.inference.download.test_classify_script import run_script, unpack_download  # noqa: F401 - a fixture
from tests.support.api_requests import field_errors
from tests.support.samples.row_samples import with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/models/images/classification.json"
NAME = "efficientnet_lite0"


@pytest.fixture
def form(make_dataset):
    """A function that returns a valid form, changed by `fields`."""
    dataset = with_categories(make_dataset(resize_width=64, resize_height=64, resize_channels=3))
    valid = {"model_name": "tuned", "dataset": dataset.pk, "method": "pretrained", "pretrained_networks": NAME}
    return lambda **fields: valid | fields


def test_a_model_starts_from_installed_weights_with_their_normalization(client, form):
    assert client.post(CREATE, form()).status_code == 200
    model = TrainedModel.objects.get()
    assert (model.method, model.standard_network, model.packaged_weights) == ("pretrained", NAME, NAME)
    assert (model.initial_weights(), model.use_mean, model.batch_size) == (f"packaged:{NAME}", "network", 32)
    assert model.network().normalization.mean == (127.5,) * 3


@pytest.mark.parametrize("sent, meant", [("image", "image"), ("none", "none"), ("", "network")])
def test_a_mean_that_is_sent_counts_for_a_pretrained_network_too(client, form, sent, meant):
    client.post(CREATE, form(use_mean=sent))
    assert TrainedModel.objects.get().use_mean == meant


@pytest.mark.parametrize(
    "changes, errors",
    [
        ({"pretrained_networks": "skynet"},
         {"pretrained_networks": "There is no pretrained model 'skynet'. Send an id, or the name of installed weights: "
                                 "efficientnet_lite0."}),
        ({"pretrained_networks": ""}, {"pretrained_networks": "This field is required."}),
        ({"crop_size": 65}, {"crop_size": "This is larger than the images, which are 64×64."}),
    ],
)  # fmt: skip
def test_a_wrong_pretrained_network_is_refused_by_name(client, form, changes, errors):
    assert field_errors(client.post(CREATE, form(**changes))) == errors
    assert not TrainedModel.objects.exists()


def test_the_layers_that_are_trained_can_be_chosen(client, form):
    sent = {"train_layers": "blocks", "trained_blocks": 3, "backbone_lr_factor": 0.1, "freeze_batch_norm": "y"}
    assert client.post(CREATE, form(**sent)).status_code == 200
    assert TrainedModel.objects.get().hyperparameters.fine_tuning == FineTuning("blocks", 3, 0.1, True)


WEIGHTS_NEEDED = "What is not trained needs weights to start from: method=pretrained"


@pytest.mark.parametrize(
    "changes, field, message",
    [
        ({"method": "standard", "standard_networks": "lenet", "train_layers": "head"}, "train_layers", WEIGHTS_NEEDED),
        ({"method": "standard", "standard_networks": "lenet", "freeze_batch_norm": 1}, "freeze_batch_norm",
         WEIGHTS_NEEDED),
        ({"train_layers": "blocks", "trained_blocks": 19}, "train_layers",
         "The network has 18 blocks before its head, not 19"),
        ({"train_layers": "tail"}, "train_layers", '"tail" is not a valid choice. Choose all, head or blocks.'),
        ({"train_layers": "head", "feature_views": 17}, "feature_views",
         "Ensure this value is less than or equal to 16."),
        ({"train_layers": "head", "feature_views": 1, "aug_flip": "fliplr"}, "feature_views",
         "the only view of an image is its middle crop, without aug_flip; take 2 feature_views or more, or 0"),
        ({"train_layers": "head", "feature_views": 2, "mixup": 0.2}, "feature_views",
         "images are mixed in every batch anew, so their features can't be kept; take feature_views 0"),
        ({"backbone_lr_factor": 0}, "backbone_lr_factor", "This must be above 0."),
        ({"backbone_lr_factor": 1.5}, "backbone_lr_factor", "Ensure this value is less than or equal to 1."),
    ],
)  # fmt: skip
def test_layers_that_can_not_be_chosen_are_refused_by_name(client, form, changes, field, message):
    errors = field_errors(client.post(CREATE, form(**changes)))
    assert list(errors) == [field]
    assert errors[field].startswith(message)
    assert not TrainedModel.objects.exists()


def test_the_field_of_pretrained_networks_is_ignored_with_another_method(client, form):
    client.post(CREATE, form(method="standard", standard_networks="lenet", pretrained_networks="None"))
    assert TrainedModel.objects.get().packaged_weights == ""


@pytest.mark.slow(20)
def test_a_fine_tuned_model_gives_the_same_answers_in_the_server_and_in_its_archive(
    client, make_built, make_model, run_training_task, digits_folder, request
):
    dataset = make_built(resize_width=32, resize_height=32)
    columns = {"method": "pretrained", "packaged_weights": NAME, "standard_network": NAME, "use_mean": "network"}
    model = run_training_task(make_model(dataset, batch_size=16, learning_rate=0.002, input_size=40, **columns))
    assert (model.status, model.error) == (Status.DONE, "")
    assert model.afresh == ["fc"]
    assert len(model.taken_over) == 147
    assert model.newest_snapshot.max_difference < 1e-4
    folder = request.getfixturevalue("unpack_download")(model)
    image = next(digits_folder.rglob("*.png"))
    with image.open("rb") as file:
        answer = client.post(
            "/models/images/classification/classify_one.json", {"job_id": model.pk, "image_file": file}
        )
    served = answer.json()["predictions"]
    script = run_script(folder, "--json", image)
    assert script.returncode == 0, script.stderr
    printed = dict(map(tuple, json.loads(script.stdout)["classifications"][str(image)]))
    assert printed.keys() == served.keys()
    np.testing.assert_allclose([printed[name] for name in served], list(served.values()), atol=0.011)
    assert not (folder / "mean.npy").exists()
    scaled = {"window": 28, "size": 40, "interpolation": "bicubic"}
    assert json.loads((folder / "info.json").read_text())["input_resize"] == scaled
