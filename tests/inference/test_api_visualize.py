"""The previews in the form of a new model: learning rates, networks as drawings and as texts."""

from dataclasses import replace
from xml.etree import ElementTree

import pytest

from models_app.models import TrainedModel
from models_app.networks import STANDARD, prototxt, standard
from tests.support.api_requests import make_account, token_header
from tests.support.samples.network_samples import CLASSIFIER, REGRESSION
from tests.support.samples.row_samples import as_generic, with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
RATES = "/models/visualize-lr"
CUSTOMIZE = "/models/customize"


def columns(client, **fields):
    response = client.post(RATES, fields)
    assert response.status_code == 200, response.content
    return response.json()["data"]["columns"]


def test_the_learning_rate_is_returned_for_every_percent_of_the_training(client):
    name, *rates = columns(client, lr_policy="step", learning_rate="0.01", lr_step_size="50", lr_step_gamma="0.1")[0]
    assert (name, len(rates)) == ("Learning Rate", 101)
    assert (rates[0], rates[49]) == (0.01, 0.01)
    assert rates[50] == pytest.approx(0.001)


@pytest.mark.parametrize(
    "policy, last",
    [("fixed", 0.02), ("step", 0.02 * 0.1**3), ("multistep", 0.02 * 0.5**2), ("exp", 0.02 * 0.95**100), ("poly", 0),
     ("cosine", 0), ("one_cycle", 0), ("plateau", 0.02)],
)  # fmt: skip
def test_every_policy_has_default_parameters(client, policy, last):
    assert columns(client, lr_policy=policy, learning_rate=0.02)[0][-1] == pytest.approx(last)


def test_a_warm_up_comes_before_the_rates_of_the_policy(client):
    _, *rates = columns(client, lr_policy="cosine", learning_rate=1, lr_warmup=20, lr_cosine_end=0.1)[0]
    assert (rates[0], rates[20], rates[60], rates[100]) == pytest.approx((0.01, 1, 0.55, 0.1))
    assert rates[:21] == sorted(rates[:21])
    assert rates[20:] == sorted(rates[20:], reverse=True)


def test_the_curve_of_the_policy_plateau_says_that_it_has_no_plateau(client):
    assert columns(client, lr_policy="plateau")[0][:2] == ["Learning Rate before a plateau", 0.01]


def test_several_learning_rates_give_several_columns(client):
    found = columns(client, lr_policy="fixed", learning_rate="[0.1, 0.2]")
    assert [(column[0], column[1]) for column in found] == [("Learning Rate 0", 0.1), ("Learning Rate 1", 0.2)]


@pytest.mark.parametrize(
    "fields, field",
    [
        ({"lr_policy": "linear"}, "lr_policy"),
        ({"lr_warmup": "100"}, "lr_warmup"),
        ({"lr_policy": "one_cycle", "lr_one_cycle_peak": "0"}, "lr_one_cycle_peak"),
        ({"learning_rate": "x"}, "learning_rate"),
        ({"lr_policy": "multistep", "lr_multistep_values": "85,50"}, "lr_multistep_values"),
        ({"lr_policy": "exp", "lr_exp_gamma": "1e30"}, "lr_exp_gamma"),
    ],
)
def test_an_invalid_policy_is_refused_with_its_field(client, fields, field):
    response = client.post(f"{RATES}.json", fields)
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == [field]


@pytest.mark.parametrize("name", STANDARD)
def test_the_text_of_a_standard_network_is_read_as_that_network_for_any_dataset(client, name):
    response = client.post(f"{CUSTOMIZE}?network={name}&framework=caffe").json()
    assert response["snapshot"] is None
    read = prototxt.read(response["network"], (3, 256, 256), STANDARD_CATEGORIES[name])
    published = standard(name, (3, 256, 256), STANDARD_CATEGORIES[name])
    assert read == replace(published, normalization=None, resizing=None)  # for which Caffe's text has no fields


# The last layer of squeezenet is a convolution, whose num_output a prototxt has to state.
STANDARD_CATEGORIES = dict.fromkeys(STANDARD, 7) | {"squeezenet": 1000}


def test_the_text_of_a_model_is_read_as_its_network(client, model):
    response = client.post(f"{CUSTOMIZE}.json", {"network": model.pk}).json()
    assert prototxt.read(response["network"], (1, 28, 28), 3).layers == standard("lenet", (1, 28, 28), 3).layers
    assert response["snapshot"] is None


def test_the_text_of_a_custom_network_is_returned_as_written(client, make_dataset):
    form = {"model_name": "mine", "dataset": make_dataset().pk, "method": "custom", "custom_network": CLASSIFIER}
    client.post("/models/images/classification.json", form)
    response = client.post(f"{CUSTOMIZE}?network={TrainedModel.objects.get().pk}").json()
    assert response["network"] == CLASSIFIER


@pytest.mark.parametrize("epoch, taken", [("1", 1), ("2.0", 2), ("-1", 2)])
def test_customize_returns_the_path_of_the_weights_of_an_epoch(client, model, epoch, taken):
    response = client.post(f"{CUSTOMIZE}?network={model.pk}", {"snapshot_epoch": epoch}).json()
    assert response["snapshot"] == str(model.snapshots.get(epoch=taken).onnx_file)


def test_the_response_of_customize_can_be_sent_as_a_new_model(client, model):
    received = client.post(f"{CUSTOMIZE}?network={model.pk}", {"snapshot_epoch": 1}).json()
    sent = {"custom_network": received["network"], "custom_network_snapshot": received["snapshot"]}
    form = {"model_name": "copy", "dataset": model.dataset_id, "method": "custom"}
    assert client.post("/models/images/classification.json", form | sent).status_code == 200
    assert TrainedModel.objects.get(name="copy").network() == replace(model.network(), resizing=None)


@pytest.mark.parametrize("named, status", [("20200101-000000-abcd", 404), ("skynet", 404), ("", 400), (None, 400)])
def test_customize_refuses_an_unknown_network(client, named, status):
    sent = {} if named is None else {"network": named}
    assert client.post(f"{CUSTOMIZE}.json", sent).status_code == status


def test_customize_refuses_an_unknown_epoch(client, model):
    response = client.post(f"{CUSTOMIZE}?network={model.pk}", {"snapshot_epoch": 9})
    assert response.json()["errors"][0]["message"] == "lenet has no snapshot of epoch 9; its epochs are: 1, 2."


def draw(client, text, query="", **fields):
    """The text of the drawing of a network."""
    response = client.post(f"/models/visualize-network{query}", {"custom_network": text, **fields})
    assert (response.status_code, response["Content-Type"]) == (200, "image/svg+xml"), response.content
    return " ".join(ElementTree.fromstring(response.content).itertext()).replace("\xa0", " ")


@pytest.mark.parametrize("query", ["", "?framework=caffe"])
def test_a_network_is_drawn_without_a_dataset(client, query):
    text = draw(client, CLASSIFIER, query)
    assert all(name in text for name in ("hidden", "InnerProduct", "loss", "accuracy", "softmax"))


def test_a_network_that_is_no_classifier_is_drawn(client):
    assert "EuclideanLoss" in draw(client, REGRESSION)


@pytest.mark.parametrize("field", ["dataset", "dataset_id"])
def test_a_network_is_drawn_for_the_image_shape_of_a_dataset(client, make_dataset, field):
    dataset = with_categories(make_dataset())
    assert "1×28×28" in draw(client, CLASSIFIER, **{field: dataset.pk})
    assert "1×10×10" in draw(client, REGRESSION, **{field: as_generic(dataset).pk})


@pytest.mark.parametrize(
    "fields, message",
    [
        ({}, "blank"),
        ({"custom_network": "layer {"}, "line 1"),
        ({"custom_network": CLASSIFIER.replace("InnerProduct", "Bogus")}, "layer hidden (type Bogus, line 2)"),
        ({"custom_network": CLASSIFIER.replace('"data"', '"nothing"')}, "layer hidden"),
        ({"custom_network": "return function(p) end", "framework": "torch"}, "A network in Lua can't be read"),
    ],
)
def test_an_invalid_network_is_refused_with_the_place_of_the_error(client, fields, message):
    response = client.post("/models/visualize-network", {"custom_network": ""} | fields)
    assert response.status_code == 400
    assert [error["field"] for error in response.json()["errors"]] == ["custom_network"]
    assert message in response.json()["errors"][0]["message"]


def test_a_drawing_escapes_the_names_of_layers(client):
    response = client.post("/models/visualize-network", {"custom_network": CLASSIFIER.replace("hidden", "<script>")})
    assert b"<script" not in response.content
    assert response["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_viewer_can_preview_networks_and_create_no_model(client, settings):
    settings.DIGITS_AUTH = "required"
    viewer = {"headers": token_header(make_account("vera", "viewer"))}
    assert client.post(f"{RATES}.json", {}, **viewer).status_code == 200
    assert client.post(f"{CUSTOMIZE}?network=lenet", **viewer).status_code == 200
    sent = {"custom_network": CLASSIFIER}
    assert client.post("/models/visualize-network", sent, **viewer).status_code == 200
    assert client.post("/models/images/generic.json", sent, **viewer).status_code == 403
