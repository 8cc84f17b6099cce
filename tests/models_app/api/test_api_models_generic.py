"""Generic models: networks of one's own, with labels of any shape."""

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
    """A form that is right, with what the test changes; None leaves a field out."""

    def form(**fields):
        right = {"model_name": "regression", "dataset": gradients.pk, "custom_network": REGRESSION, "method": "custom"}
        return {name: value for name, value in (right | fields).items() if value is not None}

    return form


def test_a_network_of_ones_own_becomes_a_generic_model(client, form, gradients):
    answer = client.post(CREATE, form()).json()
    model = TrainedModel.objects.get()
    assert (answer["id"], answer["dataset_id"], model.kind) == (model.pk, gradients.pk, "generic")
    assert client.get(f"/models/{model.pk}/status").json()["type"] == "Generic Image Model"
    assert (model.network().input_shape, model.network().label_shape) == ((1, 10, 10), (2, 1, 1))


def test_a_dataset_for_classification_will_do_too(client, form, make_dataset):
    network = CLASSIFIER.replace('top: "output"\n}', 'top: "output" inner_product_param { num_output: 10 }\n}', 1)
    answer = client.post(CREATE, form(dataset=make_dataset().pk, custom_network=network))
    assert answer.status_code == 200
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
def test_what_does_not_fit_is_refused(client, form, fields, field):
    assert list(field_errors(client.post(CREATE, form(**fields)))) == [field]
    assert not TrainedModel.objects.exists()


def test_only_a_network_with_a_loss_over_categories_can_balance_them(client, form, make_dataset):
    network = REGRESSION.replace("num_output: 2", "num_output: 1")
    asked = form(dataset=make_dataset().pk, custom_network=network)
    assert client.post(CREATE, asked).status_code == 200
    told = field_errors(client.post(CREATE, asked | {"balance_classes": "on"}))
    assert list(told) == ["custom_network"]
    assert "this network has none" in told["custom_network"]


def test_until_the_dataset_is_done_only_the_text_is_checked(client, form, gradients):
    Dataset.objects.filter(pk=gradients.pk).update(status=Status.WAITING, label_shape=[], resize_width=256)
    assert client.post(CREATE, form(crop_size=300)).status_code == 200
    assert list(field_errors(client.post(CREATE, form(custom_network="layer { type: 'Bogus' }")))) == ["custom_network"]


def test_it_goes_on_from_another_generic_model(client, form):
    text = REGRESSION + 'layer { name: "share" type: "Softmax" bottom: "output" top: "share" }'
    first = client.post(CREATE, form(custom_network=text)).json()["id"]
    second = {"model_name": "second", "method": "previous", "previous_networks": first, "custom_network": None}
    assert client.post(CREATE, form(**second)).status_code == 200
    models = TrainedModel.objects.order_by("created_at")
    assert models[0].network() == models[1].network()
    text = client.post(f"/models/customize?network={models[1].pk}").json()["network"]
    assert prototxt.read(text, (1, 10, 10), label_shape=(2, 1, 1)) == models[1].network()


def test_several_rates_make_several_models(client, form):
    jobs = client.post(CREATE, form(learning_rate="0.1,0.01")).json()["jobs"]
    assert [job["name"] for job in jobs] == ["regression learning_rate:0.1", "regression learning_rate:0.01"]


def test_without_the_suffix_the_answer_leads_to_the_models_page(client, form):
    answer = client.post(CREATE.removesuffix(".json"), form())
    assert (answer.status_code, answer["Location"]) == (302, f"/models/{TrainedModel.objects.get().pk}")


def test_the_page_has_the_form(client):
    page = client.get(CREATE.removesuffix(".json"), headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert '<textarea name="custom_network"' in page.content.decode()
