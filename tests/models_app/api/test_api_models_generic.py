"""Generic models: custom networks with labels of any shape."""

import re

import pytest

from datasets.models import Dataset
from digits_project.jobs.models import Status
from models_app.models import TrainedModel
from models_app.networks import prototxt
from tests.support.api_requests import field_errors
from tests.support.samples.network_samples import CLASSIFIER, REGRESSION
from tests.support.samples.row_samples import as_generic

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
CREATE = "/models/images/generic.json"


@pytest.fixture
def gradients(make_dataset):
    """A generic dataset that is Done: 10×10 gray, two numbers as label."""
    return as_generic(make_dataset())


@pytest.fixture
def form(gradients):
    """A function that returns a valid form, changed by `fields`; None leaves a field out."""

    def form(**fields):
        valid = {"model_name": "regression", "dataset": gradients.pk, "custom_network": REGRESSION, "method": "custom"}
        return {name: value for name, value in (valid | fields).items() if value is not None}

    return form


def test_a_custom_network_becomes_a_generic_model(client, form, gradients):
    response = client.post(CREATE, form()).json()
    model = TrainedModel.objects.get()
    assert (response["id"], response["dataset_id"], model.kind) == (model.pk, gradients.pk, "generic")
    assert client.get(f"/models/{model.pk}/status").json()["type"] == "Generic Image Model"
    assert (model.network().input_shape, model.network().label_shape) == ((1, 10, 10), (2, 1, 1))


def test_a_generic_model_accepts_a_dataset_for_classification(client, form, make_dataset):
    network = CLASSIFIER.replace('top: "output"\n}', 'top: "output" inner_product_param { num_output: 10 }\n}', 1)
    response = client.post(CREATE, form(dataset=make_dataset().pk, custom_network=network))
    assert response.status_code == 200
    assert TrainedModel.objects.get().kind == "generic"


@pytest.mark.parametrize(
    "fields, field",
    [
        ({"method": "standard", "standard_networks": "lenet"}, "method"),
        ({"custom_network": None}, "custom_network"),
        ({"custom_network": REGRESSION.replace("num_output: 2", "num_output: 3")}, "custom_network"),
        ({"crop_size": 11}, "crop_size"),
        ({"balance_classes": "on"}, "balance_classes"),
    ],
)
def test_an_invalid_field_of_a_generic_model_is_refused(client, form, fields, field):
    assert list(field_errors(client.post(CREATE, form(**fields)))) == [field]
    assert not TrainedModel.objects.exists()


def test_only_a_network_with_a_loss_over_categories_can_balance_classes(client, form, make_dataset):
    network = REGRESSION.replace("num_output: 2", "num_output: 1")
    fields = form(dataset=make_dataset().pk, custom_network=network)
    assert client.post(CREATE, fields).status_code == 200
    errors = field_errors(client.post(CREATE, fields | {"balance_classes": "on"}))
    assert list(errors) == ["custom_network"]
    assert "this network has none" in errors["custom_network"]


def test_only_the_text_of_a_network_is_checked_until_the_dataset_is_done(client, form, gradients):
    Dataset.objects.filter(pk=gradients.pk).update(status=Status.WAITING, label_shape=[], resize_width=256)
    assert client.post(CREATE, form(crop_size=300)).status_code == 200
    assert list(field_errors(client.post(CREATE, form(custom_network="layer { type: 'Bogus' }")))) == ["custom_network"]


def test_a_generic_model_starts_from_another_generic_model(client, form):
    text = REGRESSION + 'layer { name: "share" type: "Softmax" bottom: "output" top: "share" }'
    first = client.post(CREATE, form(custom_network=text)).json()["id"]
    second = {"model_name": "second", "method": "previous", "previous_networks": first, "custom_network": None}
    assert client.post(CREATE, form(**second)).status_code == 200
    models = TrainedModel.objects.order_by("created_at")
    assert models[0].network() == models[1].network()
    text = client.post(f"/models/customize?network={models[1].pk}").json()["network"]
    assert prototxt.read(text, (1, 10, 10), label_shape=(2, 1, 1)) == models[1].network()


def test_several_learning_rates_create_several_generic_models(client, form):
    jobs = client.post(CREATE, form(learning_rate="0.1,0.01")).json()["jobs"]
    assert [job["name"] for job in jobs] == ["regression learning_rate:0.1", "regression learning_rate:0.01"]


def test_a_request_without_the_suffix_redirects_to_the_page_of_the_generic_model(client, form):
    response = client.post(CREATE.removesuffix(".json"), form())
    assert (response.status_code, response["Location"]) == (302, f"/models/{TrainedModel.objects.get().pk}")


def test_the_page_has_the_form_of_a_generic_model(client):
    page = client.get(CREATE.removesuffix(".json"), headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert re.search('<textarea [^>]*id="id_custom_network"', page.content.decode())
