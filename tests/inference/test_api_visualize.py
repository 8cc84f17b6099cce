"""What the form of a new model shows before it is sent: learning rates, networks as pictures and as texts."""

from xml.etree import ElementTree

import pytest

from models_app.models import TrainedModel
from models_app.networks import STANDARD, prototxt, standard
from tests.support.api_requests import make_account, token_header
from tests.support.samples.network_samples import CLASSIFIER, REGRESSION
from tests.support.samples.row_samples import add_snapshot, as_generic, with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
RATES = "/models/visualize-lr"
CUSTOMIZE = "/models/customize"


@pytest.fixture
def model(make_dataset, make_model):
    model = make_model(with_categories(make_dataset()))
    for epoch in (1, 2):
        add_snapshot(model, epoch, seed=1)
    return model


def columns(client, **fields):
    answer = client.post(RATES, fields)
    assert answer.status_code == 200, answer.content
    return answer.json()["data"]["columns"]


def test_the_rate_is_told_for_every_percent_of_the_training(client):
    name, *rates = columns(client, lr_policy="step", learning_rate="0.01", lr_step_size="50", lr_step_gamma="0.1")[0]
    assert (name, len(rates)) == ("Learning Rate", 101)
    assert (rates[0], rates[49]) == (0.01, 0.01)
    assert rates[50] == pytest.approx(0.001)


@pytest.mark.parametrize(
    "policy, last",
    [("fixed", 0.02), ("step", 0.02 * 0.1**3), ("multistep", 0.02 * 0.5**2), ("exp", 0.02 * 0.95**100), ("poly", 0)],
)
def test_every_policy_has_its_defaults(client, policy, last):
    assert columns(client, lr_policy=policy, learning_rate=0.02)[0][-1] == pytest.approx(last)


def test_several_base_rates_make_several_columns(client):
    told = columns(client, lr_policy="fixed", learning_rate="[0.1, 0.2]")
    assert [(column[0], column[1]) for column in told] == [("Learning Rate 0", 0.1), ("Learning Rate 1", 0.2)]


@pytest.mark.parametrize(
    "fields, field",
    [
        ({"lr_policy": "cosine"}, "lr_policy"),
        ({"learning_rate": "x"}, "learning_rate"),
        ({"lr_policy": "multistep", "lr_multistep_values": "85,50"}, "lr_multistep_values"),
        ({"lr_policy": "exp", "lr_exp_gamma": "1e30"}, "lr_exp_gamma"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(client, fields, field):
    answer = client.post(f"{RATES}.json", fields)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("name", STANDARD)
def test_a_standard_networks_text_gives_that_network_for_any_dataset(client, name):
    answer = client.post(f"{CUSTOMIZE}?network={name}&framework=caffe").json()
    assert answer["snapshot"] is None
    read = prototxt.read(answer["network"], (3, 256, 256), STANDARD_CATEGORIES[name])
    assert read == standard(name, (3, 256, 256), STANDARD_CATEGORIES[name])


# The last layer of squeezenet is a convolution, whose width a text has to say.
STANDARD_CATEGORIES = dict.fromkeys(STANDARD, 7) | {"squeezenet": 1000}


def test_a_models_text_gives_its_network(client, model):
    answer = client.post(f"{CUSTOMIZE}.json", {"network": model.pk}).json()
    assert prototxt.read(answer["network"], (1, 28, 28), 3) == standard("lenet", (1, 28, 28), 3)
    assert answer["snapshot"] is None


def test_ones_own_network_is_told_as_it_was_written(client, make_dataset):
    right = {"model_name": "mine", "dataset": make_dataset().pk, "method": "custom", "custom_network": CLASSIFIER}
    client.post("/models/images/classification.json", right)
    answer = client.post(f"{CUSTOMIZE}?network={TrainedModel.objects.get().pk}").json()
    assert answer["network"] == CLASSIFIER


@pytest.mark.parametrize("epoch, taken", [("1", 1), ("2.0", 2), ("-1", 2)])
def test_the_weights_of_an_epoch_can_be_named_with_it(client, model, epoch, taken):
    answer = client.post(f"{CUSTOMIZE}?network={model.pk}", {"snapshot_epoch": epoch}).json()
    assert answer["snapshot"] == str(model.snapshots.get(epoch=taken).directory / "weights.npz")


def test_what_was_told_can_be_sent(client, model):
    told = client.post(f"{CUSTOMIZE}?network={model.pk}", {"snapshot_epoch": 1}).json()
    sent = {"custom_network": told["network"], "custom_network_snapshot": told["snapshot"]}
    right = {"model_name": "copy", "dataset": model.dataset_id, "method": "custom"}
    assert client.post("/models/images/classification.json", right | sent).status_code == 200
    assert TrainedModel.objects.get(name="copy").network() == model.network()


@pytest.mark.parametrize("named, status", [("20200101-000000-abcd", 404), ("skynet", 404), ("", 400), (None, 400)])
def test_a_network_that_does_not_exist_is_told_so(client, named, status):
    asked = {} if named is None else {"network": named}
    assert client.post(f"{CUSTOMIZE}.json", asked).status_code == status


def test_an_epoch_that_does_not_exist_is_told_so(client, model):
    answer = client.post(f"{CUSTOMIZE}?network={model.pk}", {"snapshot_epoch": 9})
    assert answer.json()["errors"][0]["message"] == "lenet has no snapshot of that epoch; it has 1, 2."


def picture(client, text, query="", **fields):
    answer = client.post(f"/models/visualize-network{query}", {"custom_network": text, **fields})
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml"), answer.content
    drawn = ElementTree.fromstring(answer.content)
    return " ".join(drawn.itertext()).replace("\xa0", " ")


@pytest.mark.parametrize("query", ["", "?framework=caffe"])
def test_a_network_is_drawn_without_a_dataset(client, query):
    drawn = picture(client, CLASSIFIER, query)
    assert all(name in drawn for name in ("hidden", "InnerProduct", "loss", "accuracy", "softmax"))


def test_a_network_that_is_no_classifier_is_drawn_too(client):
    assert "EuclideanLoss" in picture(client, REGRESSION)


@pytest.mark.parametrize("field", ["dataset", "dataset_id"])
def test_a_network_is_drawn_for_the_dataset_that_is_named(client, make_dataset, field):
    dataset = with_categories(make_dataset())
    assert "1×28×28" in picture(client, CLASSIFIER, **{field: dataset.pk})
    assert "1×10×10" in picture(client, REGRESSION, **{field: as_generic(dataset).pk})


@pytest.mark.parametrize(
    "fields, told",
    [
        ({}, "blank"),
        ({"custom_network": "layer {"}, "line 1"),
        ({"custom_network": CLASSIFIER.replace("InnerProduct", "Bogus")}, "layer hidden (type Bogus, line 2)"),
        ({"custom_network": CLASSIFIER.replace('"data"', '"nothing"')}, "layer hidden"),
        ({"custom_network": "return function(p) end", "framework": "torch"}, "A network in Lua can't be read here"),
    ],
)
def test_what_can_not_be_drawn_is_told_with_its_place(client, fields, told):
    answer = client.post("/models/visualize-network", {"custom_network": ""} | fields)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["custom_network"]
    assert told in answer.json()["errors"][0]["message"]


def test_a_name_in_a_picture_is_text_and_nothing_else(client):
    answer = client.post("/models/visualize-network", {"custom_network": CLASSIFIER.replace("hidden", "<script>")})
    assert b"<script" not in answer.content
    assert answer["Content-Security-Policy"].startswith("default-src 'none'")


def test_an_account_that_may_only_look_may_look_at_networks(client, settings):
    settings.DIGITS_AUTH = "required"
    viewer = {"headers": token_header(make_account("vera", "viewer"))}
    assert client.post(f"{RATES}.json", {}, **viewer).status_code == 200
    assert client.post(f"{CUSTOMIZE}?network=lenet", **viewer).status_code == 200
    sent = {"custom_network": CLASSIFIER}
    assert client.post("/models/visualize-network", sent, **viewer).status_code == 200
    assert client.post("/models/images/generic.json", sent, **viewer).status_code == 403
