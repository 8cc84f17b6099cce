"""The form of a new classification model, and models as JSON."""

from urllib.parse import urlencode

import pytest

from datasets.models import Dataset
from digits_project.jobs import lifecycle
from digits_project.jobs.models import Device, Status
from models_app.models import Snapshot, TrainedModel
from models_app.results import Metric
from models_app.training.learning_rate import POLICIES
from tests.support.api_requests import field_errors

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/models/images/classification.json"


@pytest.fixture
def form(make_dataset):
    """A function that returns a valid form, changed by `fields`; None leaves a field out."""

    def form(**fields):
        valid = {"model_name": "lenet", "dataset": make_dataset().pk, "standard_networks": "lenet"}
        return {name: value for name, value in (valid | fields).items() if value is not None}

    return form


@pytest.fixture
def model(make_dataset, make_model):
    return make_model(make_dataset())


def test_a_valid_form_creates_a_waiting_model_with_the_defaults_of_digits(client, form):
    response = client.post(CREATE, form()).json()
    model = TrainedModel.objects.get()
    assert response == {
        "job_id": model.pk,
        "id": model.pk,
        "name": "lenet",
        "status": "Waiting",
        "dataset_id": model.dataset_id,
    }
    stored = (model.train_epochs, model.batch_size, model.solver_type, model.learning_rate, model.lr_policy)
    assert stored == (30, 64, "SGD", 0.01, "step")
    assert (model.snapshot_interval, model.val_interval, model.use_mean) == (1, 1, "image")


@pytest.mark.parametrize(
    "field, value, message",
    [
        ("model_name", None, "This field is required."),
        ("model_name", "x" * 10_000, "Ensure this field has no more than 255 characters."),
        ("dataset", None, "This field is required."),
        ("dataset", "20200101-000000-abcd", "There is no dataset with this id."),
        ("standard_networks", None, "This field is required."),
        (
            "standard_networks",
            "skynet",
            '"skynet" is not a valid choice. Choose lenet, alexnet, googlenet, vgg16, resnet18, resnet50, '
            "mobilenet_v2, squeezenet, efficientnet_lite0, alexnet_torch, googlenet_torch, resnet18_torch or "
            "resnet50_torch; or timm/NAME of the timm library.",
        ),
        ("method", "magic", '"magic" is not a valid choice. Choose standard, previous, pretrained or custom.'),
        ("train_epochs", 0, "Ensure this value is greater than or equal to 1."),
        ("batch_size", 0, "Ensure this value is greater than or equal to 1."),
        ("batch_size", "many", "A valid integer is required."),
        ("snapshot_interval", -1, "Ensure this value is greater than or equal to 0."),
        ("learning_rate", "inf", "A valid number is required."),
        ("learning_rate", 0, "This must be above 0."),
        ("learning_rate", -0.1, "This must be above 0."),
        ("learning_rate", "0.1,0", "This must be above 0."),
        ("learning_rate", 1e-31, "Ensure this value is greater than or equal to 1e-30."),
        ("learning_rate", "nan", "A valid number is required."),
        ("val_interval", "nan", "A valid number is required."),
        ("snapshot_interval", "inf", "A valid number is required."),
        ("rms_decay", "nan", "A valid number is required."),
        ("lr_step_size", 0, "This must be above 0."),
        ("lr_multistep_values", "50,nan", "This must be numbers separated by commas, such as 50,85."),
        (
            "solver_type",
            "SGDX",
            '"SGDX" is not a valid choice. Choose SGD, NESTEROV, ADAGRAD, RMSPROP, ADADELTA, ADAM or ADAMW.',
        ),
        ("lr_policy", "linear", f'"linear" is not a valid choice. Choose {", ".join(POLICIES[:-1])} or plateau.'),
        ("random_seed", -1, "Ensure this value is greater than or equal to 0."),
        ("lr_multistep_values", "a,b", "This must be numbers separated by commas, such as 50,85."),
        ("use_mean", "median", '"median" is not a valid choice. Choose none, image, pixel or network.'),
        ("use_mean", "network", "The network has no normalization of its own; take image, pixel or none"),
        ("framework", "skynet", '"skynet" is not a valid choice. Choose mxnet, caffe, torch, pytorch or tensorflow.'),
        ("crop_size", 29, "This is larger than the images, which are 28×28."),
        ("crop_size", 0, "Ensure this value is greater than or equal to 1."),
        ("batch_accumulation", 0, "Ensure this value is greater than or equal to 1."),
        ("rms_decay", 2, "Ensure this value is less than or equal to 1."),
        ("rms_decay", 1, "Ensure this value is less than 1."),
        ("random_seed", 2**32, "Ensure this value is less than or equal to 4294967295."),
        ("select_gpu", "first", "A valid integer is required."),
        ("select_gpu", 0, "No host has GPU 0 to train on; there are: none."),
        ("select_gpus_list", "0,x", "A valid integer is required."),
        ("select_gpu_count", 0, "Ensure this value is greater than or equal to 1."),
        ("early_stop_patience", -1, "Ensure this value is greater than or equal to 0."),
    ],
)
def test_an_invalid_field_of_a_model_gets_its_message_and_creates_nothing(client, form, field, value, message):
    assert field_errors(client.post(CREATE, form(**{field: value}))) == {field: message}
    assert not TrainedModel.objects.exists()


def test_early_stop_patience_needs_validations(client, form):
    errors = field_errors(client.post(CREATE, form(early_stop_patience=3, val_interval=0)))
    assert errors == {"early_stop_patience": "This counts validations, but val_interval is 0, so there are none."}


@pytest.mark.parametrize("content_type", ["multipart", "application/x-www-form-urlencoded", "application/json"])
def test_every_field_of_the_form_is_stored(client, form, content_type):
    fields = {
        "crop_size": 24,
        "batch_size": 10,
        "batch_accumulation": 3,
        "solver_type": "RMSPROP",
        "rms_decay": 0.9,
        "random_seed": 0xCAFEBABE,  # the value that DIGITS's own tests send
        "snapshot_interval": 0.5,
        "val_interval": 2.0,
        "early_stop_patience": 5,
        "keep_snapshots": 2,
        "balance_classes": True,
        "use_mean": "pixel",
    }
    data = form(**fields)
    if content_type == "application/x-www-form-urlencoded":
        data = urlencode(data)
    client.post(CREATE, data, **({} if content_type == "multipart" else {"content_type": content_type}))
    model = TrainedModel.objects.get()
    assert {column: getattr(model, column) for column in fields} == fields
    assert model.network().input_shape == (1, 24, 24)


def test_fields_of_other_methods_and_unknown_fields_are_ignored(client, form):
    others = {
        "previous_networks": "None",
        "custom_network": "nonsense",
        "custom_network_snapshot": "",
        "group_name": "g",
        "shuffle": "true",
        "aug_flip": "none",
        "python_layer_from_client": "n",
    }
    assert client.post(CREATE, form(**others)).status_code == 200
    model = TrainedModel.objects.get()
    assert (model.method, model.previous, model.custom_network_snapshot) == ("standard", None, "")


@pytest.mark.parametrize("framework", ["caffe", "torch", "tensorflow", "mxnet", ""])
def test_mxnet_is_the_framework_for_every_framework_of_digits(client, form, framework):
    assert client.post(CREATE, form(framework=framework)).status_code == 200
    assert TrainedModel.objects.get().framework == "mxnet"


def test_gpus_are_chosen_by_index_or_by_count(client, form):
    Device.objects.bulk_create(Device(host="a", type="gpu", index=i) for i in range(3))
    chosen = [
        {"select_gpu": "next"},
        {"select_gpu": "1"},
        {"select_gpus": ["0", "2"]},
        {"select_gpus_list": "1,2"},
        {"select_gpu_count": 2},
    ]
    for choice in chosen:
        assert client.post(CREATE, form(**choice)).status_code == 200
    stored = TrainedModel.objects.order_by("created_at").values_list("select_gpus", "select_gpu_count")
    assert list(stored) == [([], 1), ([1], 1), ([0, 2], 1), ([1, 2], 1), ([], 2)]
    errors = field_errors(client.post(CREATE, form(select_gpu_count=4)))
    assert errors == {"select_gpu_count": "No host has 4 GPUs to train on; the largest number on one host is 3."}


def test_further_outputs_of_a_network_are_listed_beside_loss_and_accuracy(client, model):
    for epoch in (1, 2):
        measured = {"loss": 0.5, "outputs": {"loss": 7, "loss1/loss": 0.1 * epoch}, "learning_rate": 0.01}
        Metric.objects.create(trained_model=model, split="val", epoch=epoch, **measured)
    curve = client.get(f"/models/{model.pk}.json").json()["val_outputs"]
    assert curve == {"epoch": [1, 2], "loss": [0.5, 0.5], "loss1/loss": [0.1, 0.2]}


def test_a_network_that_does_not_fit_the_images_is_refused_with_the_name_of_the_layer(client, form, make_dataset):
    tiny = make_dataset(resize_width=8, resize_height=8)
    errors = field_errors(client.post(CREATE, form(dataset=tiny.pk)))
    assert errors["standard_networks"] == (
        "layer conv2: 5×5 kernel does not fit a 2×2 input; an input_size, such as 28, scales the images"
    )
    assert not TrainedModel.objects.exists()


def test_multistep_values_that_do_not_rise_are_refused(client, form):
    errors = field_errors(client.post(CREATE, form(lr_policy="multistep", lr_multistep_values="85,50")))
    assert errors == {"lr_multistep_values": "lr_multistep_values must increase, as in 50,85, but are 85,50"}


def test_invalid_values_of_another_policy_are_ignored(client, form):
    assert client.post(CREATE, form(lr_multistep_values="85,50")).status_code == 200


@pytest.mark.parametrize(
    "policy, field",
    [("step", "lr_step_gamma"), ("multistep", "lr_multistep_gamma"), ("exp", "lr_exp_gamma")],
)
def test_a_learning_rate_beyond_float32_is_refused_at_the_parameter_that_causes_it(client, form, policy, field):
    errors = field_errors(client.post(CREATE, form(lr_policy=policy, **{field: "1e30"})))
    assert list(errors) == [field]
    assert "raises the learning rate beyond 1e+38" in errors[field]


def test_errors_across_fields_are_reported_together_with_errors_of_single_fields(client, form):
    sent = form(
        train_epochs=0, crop_size=29, lr_policy="multistep", lr_multistep_values="85,50", early_stop_patience=1,
        val_interval=0, learning_rate=0, select_gpu=7,
    )  # fmt: skip
    assert field_errors(client.post(CREATE, sent)) == {
        "train_epochs": "Ensure this value is greater than or equal to 1.",
        "learning_rate": "This must be above 0.",
        "crop_size": "This is larger than the images, which are 28×28.",
        "lr_multistep_values": "lr_multistep_values must increase, as in 50,85, but are 85,50",
        "early_stop_patience": "This counts validations, but val_interval is 0, so there are none.",
        "select_gpu": "No host has GPU 7 to train on; there are: none.",
    }


def test_too_many_combinations_are_reported_together_with_an_invalid_policy(client, form):
    many = ",".join(map(str, range(1, 12)))
    sent = form(learning_rate=many, batch_size=many, lr_policy="multistep", lr_multistep_values="85,50")
    assert set(field_errors(client.post(CREATE, sent))) == {"learning_rate", "lr_multistep_values"}


@pytest.mark.parametrize("end", [Status.ABORTED, Status.ERROR])
def test_an_aborted_or_failed_dataset_is_refused(client, form, make_dataset, end):
    dataset = make_dataset()
    lifecycle.advance(dataset, end)
    errors = field_errors(client.post(CREATE, form(dataset=dataset.pk)))
    assert errors == {"dataset": f"Its status is {end}; choose a dataset that is or will be Done."}


def test_a_classifier_refuses_a_generic_dataset(client, form, make_dataset):
    dataset = make_dataset()
    Dataset.objects.update(kind="generic")
    errors = field_errors(client.post(CREATE, form(dataset=dataset.pk)))
    assert errors == {"dataset": "It is a generic dataset; a classifier needs one for classification."}


@pytest.mark.parametrize(
    "sent, meant", [("1", "image"), ("0", "none"), ("Y", "image"), ("false", "none"), ("pixel", "pixel"), ("", "image")]
)
def test_use_mean_accepts_the_older_values(client, form, sent, meant):
    client.post(CREATE, form(use_mean=sent))
    assert TrainedModel.objects.get().use_mean == meant


def test_only_the_parameters_of_the_chosen_policy_are_stored(client, form):
    client.post(CREATE, form(lr_policy="exp", lr_exp_gamma="0.9", lr_step_gamma="0.5"))
    assert TrainedModel.objects.get().lr_parameters == {"lr_exp_gamma": 0.9}


def test_the_json_of_a_model_has_its_snapshots_and_curves(client, model):
    for epoch in (0.5, 1):
        Snapshot.objects.create(trained_model=model, epoch=epoch, folder=f"snapshots/{epoch}")
        Metric.objects.create(
            trained_model=model, split="val", epoch=epoch, loss=1 / epoch, accuracy=epoch / 2, learning_rate=0.01
        )
    response = client.get(f"/models/{model.pk}.json").json()
    assert response.pop("waiting_reason").startswith("waiting for ")
    assert response == {
        "id": model.pk,
        "name": "lenet",
        "directory": str(model.directory),
        "status": "Waiting",
        "snapshots": [0.5, 1],
        "dataset_id": model.dataset_id,
        "network": "lenet",
        "latest_snapshot": 1,
        "best_snapshot": 1,
        "default_snapshot": 1,
        "engine": "auto",
        "val_outputs": {"epoch": [0.5, 1], "loss": [2, 1], "accuracy": [0.25, 0.5]},
        "progress": 0,
    }


def test_a_long_curve_is_thinned_to_200_points_and_keeps_its_ends(client, model):
    Metric.objects.bulk_create(
        Metric(trained_model=model, split="train", epoch=i / 10, loss=i, accuracy=0.5, learning_rate=0.01)
        for i in range(1, 1001)
    )
    thinned = client.get(f"/models/{model.pk}.json").json()["train_outputs"]
    all_points = client.get(f"/models/{model.pk}.json?points=all").json()["train_outputs"]
    assert (len(thinned["loss"]), thinned["loss"][0], thinned["loss"][-1]) == (200, 1, 1000)
    assert all_points["loss"] == list(range(1, 1001))
