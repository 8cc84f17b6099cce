"""Models that start from another model: its network, and the weights of one of its snapshots."""

import pytest

from digits_project.jobs import lifecycle
from digits_project.jobs.models import Status
from models_app.models import TrainedModel
from tests.support.api_requests import field_errors
from tests.support.samples.row_samples import add_snapshot, with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/models/images/classification.json"


@pytest.fixture
def digits(make_dataset):
    """A dataset of ten categories."""
    return with_categories(make_dataset())


@pytest.fixture
def first(digits, make_model):
    """The model from which others start, with snapshots at the epochs 0.5 and 1."""
    model = make_model(digits, batch_size=9)
    for epoch in (0.5, 1):
        add_snapshot(model, epoch, seed=1)
    return model


@pytest.fixture
def form(first):
    """A function that returns a valid form, changed by `fields`."""

    def form(**fields):
        valid = {"model_name": "second", "dataset": first.dataset_id, "method": "previous"}
        return valid | {"previous_networks": first.pk} | fields

    return form


def second():
    """The model that the form created."""
    return TrainedModel.objects.get(name="second")


def test_a_dataset_of_the_same_categories_keeps_the_network_and_its_batch_size(client, form, first):
    assert client.post(CREATE, form()).status_code == 200
    assert second().network() == first.network()
    assert (second().batch_size, second().previous) == (9, first)


def test_a_dataset_of_other_categories_replaces_the_last_layer(client, form, make_dataset):
    cats_and_dogs = with_categories(make_dataset(), ["cat", "dog"])
    client.post(CREATE, form(dataset=cats_and_dogs.pk))
    names = {weight.name: weight.shape for weight in second().network().weights()}
    assert names["ip2_retrain.weight"] == (2, 500)
    assert "ip2.weight" not in names
    assert names["ip1.weight"] == (500, 800)


@pytest.mark.parametrize("epoch, taken", [("1", 1), ("0.5", 0.5), ("0.50001", 0.5), ("-1", 1)])
def test_the_weights_come_from_the_snapshot_of_the_given_epoch(client, form, first, epoch, taken):
    assert client.post(CREATE, form(**{f"{first.pk}-snapshot": epoch})).status_code == 200
    assert second().previous_epoch == taken
    assert second().initial_weights() == str(first.snapshots.get(epoch=taken).directory)


@pytest.mark.parametrize("fields", [{}, {"{}-snapshot": "0"}, {"{}-snapshot": ""}, {"other-snapshot": "1"}])
def test_a_model_without_an_epoch_of_the_previous_one_starts_with_random_weights(client, form, first, fields):
    of_first = {name.format(first.pk): value for name, value in fields.items()}
    assert client.post(CREATE, form(**of_first)).status_code == 200
    assert (second().previous_epoch, second().initial_weights()) == (None, None)


@pytest.mark.parametrize(
    "epoch, message",
    [
        ("7", "lenet has no snapshot of epoch 7; its epochs are: 0.5, 1."),
        ("-2", "Ensure this value is greater than or equal to -1."),
        ("last", "This must be an epoch, best or latest."),
    ],
)
def test_an_unknown_epoch_of_the_previous_model_is_refused_with_its_field(client, form, first, epoch, message):
    field = f"{first.pk}-snapshot"
    assert field_errors(client.post(CREATE, form(**{field: epoch}))) == {field: message}
    assert not TrainedModel.objects.filter(name="second").exists()


@pytest.mark.parametrize("job_id", ["20200101-000000-abcd", "None"])
def test_an_unknown_previous_model_is_refused(client, form, job_id):
    errors = field_errors(client.post(CREATE, form(previous_networks=job_id)))
    assert errors == {"previous_networks": "There is no model with this id."}


def test_a_missing_previous_model_is_refused(client, form):
    assert "previous_networks" in field_errors(client.post(CREATE, form(previous_networks="")))


def test_a_classifier_cannot_start_from_a_generic_model(client, form):
    TrainedModel.objects.update(kind="generic")
    errors = field_errors(client.post(CREATE, form()))
    assert errors == {"previous_networks": "It is a model of another kind: Generic Image Model."}


def test_images_too_small_for_the_previous_network_are_refused(client, form, make_dataset):
    errors = field_errors(client.post(CREATE, form(dataset=make_dataset(resize_width=8, resize_height=8).pk)))
    assert errors["previous_networks"].startswith("layer conv2: 5×5 kernel does not fit a 2×2 input")


def test_a_model_can_start_from_one_that_started_from_another(client, form, first):
    client.post(CREATE, form())
    add_snapshot(second(), 1, seed=2)
    assert client.post(CREATE, form(model_name="third", previous_networks=second().pk)).status_code == 200
    assert TrainedModel.objects.get(name="third").network() == first.network()


def test_a_model_is_not_deleted_while_a_waiting_model_needs_its_weights(client, form, first):
    client.post(CREATE, form(**{f"{first.pk}-snapshot": 1}))
    assert client.delete(f"/models/{first.pk}.json").status_code == 403
    lifecycle.advance(second(), Status.ABORTED)
    assert client.delete(f"/models/{first.pk}.json").status_code == 200


def test_a_model_keeps_its_network_after_the_previous_model_is_deleted(client, form, first):
    network = first.network()
    client.post(CREATE, form())
    assert client.delete(f"/models/{first.pk}.json").status_code == 200
    assert (second().previous, second().network()) == (None, network)


def test_every_model_of_a_sweep_starts_from_the_previous_model(client, form, first):
    response = client.post(CREATE, form(learning_rate="0.1,0.01", **{f"{first.pk}-snapshot": 1}))
    models = TrainedModel.objects.in_bulk([job["id"] for job in response.json()["jobs"]]).values()
    assert [(model.previous, model.previous_epoch, model.batch_size) for model in models] == [(first, 1, 9)] * 2
