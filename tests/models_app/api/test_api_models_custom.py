"""Custom models: POST of a prototxt, and of the path of the weights that its training starts from."""

import os
from io import BytesIO

import pytest
from django.conf import settings

from models_app.models import TrainedModel
from models_app.networks import prototxt, standard
from tests.support.samples.network_samples import CLASSIFIER
from tests.support.samples.row_samples import add_snapshot, with_categories, write_weights

pytestmark = pytest.mark.django_db
CREATE = "/models/images/classification.json"
VISUALIZE = "/models/visualize-network.json"
SCORES = 'layer { name: "ip" type: "InnerProduct" bottom: "data" top: "output" }\n'
DEPLOYED = 'layer { name: "softmax" type: "Softmax" bottom: "output" top: "softmax" include { stage: "deploy" } }\n'


@pytest.fixture(autouse=True)
def _open_server(settings, tmp_path, digits_folder):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [digits_folder, tmp_path]


@pytest.fixture
def form(make_dataset):
    """A function that returns a valid form, changed by `fields`; None leaves a field out."""

    def form(**fields):
        valid = {"model_name": "mine", "dataset": make_dataset().pk, "method": "custom", "custom_network": CLASSIFIER}
        return {name: value for name, value in (valid | fields).items() if value is not None}

    return form


def error_of(response, field="custom_network"):
    """The message of a response with status 400 and one invalid field."""
    assert response.status_code == 400, response.content
    assert [error["field"] for error in response.json()["errors"]] == [field]
    return response.json()["errors"][0]["message"]


@pytest.mark.parametrize("content_type", ["multipart", "application/json"])
def test_a_prototxt_becomes_a_model(client, form, content_type):
    sent = form(framework="caffe", random_seed=0xCAFEBABE, batch_size=10)
    response = client.post(CREATE, sent, **({} if content_type == "multipart" else {"content_type": content_type}))
    model = TrainedModel.objects.get()
    assert response.json()["id"] == model.pk
    assert (model.method, model.custom_network, model.batch_size) == ("custom", CLASSIFIER, 10)
    assert client.get(f"/models/{model.pk}/status").json()["type"] == "Image Classification Model"


def test_the_last_layer_gets_as_many_outputs_as_there_are_categories(client, form):
    client.post(CREATE, form())
    model = TrainedModel.objects.get()
    with_categories(model.dataset)
    model = TrainedModel.objects.get()
    assert model.network().shapes()["softmax"] == (10,)


def test_the_batch_size_comes_from_the_network_or_else_from_digits(client, form):
    data = 'layer { name: "data" type: "Data" top: "data" top: "label" data_param { batch_size: 7 } }'
    client.post(CREATE, form(custom_network=data + CLASSIFIER))
    client.post(CREATE, form())
    assert list(TrainedModel.objects.order_by("created_at").values_list("batch_size", flat=True)) == [7, 16]


def test_the_crop_size_comes_from_the_form_or_else_from_the_network(client, form):
    data = 'layer { name: "data" type: "Data" top: "data" top: "label" transform_param { crop_size: 20 } }'
    client.post(CREATE, form(custom_network=data + CLASSIFIER))
    client.post(CREATE, form(custom_network=data + CLASSIFIER, crop_size=8))
    shapes = [model.network().input_shape for model in TrainedModel.objects.order_by("created_at")]
    assert shapes == [(1, 20, 20), (1, 8, 8)]


def test_a_standard_network_sent_as_prototxt_stays_that_network(client, form):
    client.post(CREATE, form(custom_network=prototxt.write(standard("lenet", (1, 28, 28), 2))))
    assert TrainedModel.objects.get().network().layers == standard("lenet", (1, 28, 28), 2).layers


def test_an_unknown_layer_type_is_refused_with_its_name_and_line(client, form):
    error = error_of(client.post(CREATE, form(custom_network=CLASSIFIER.replace("InnerProduct", "BogusCode"))))
    assert "layer hidden (type BogusCode, line 2)" in error
    assert not TrainedModel.objects.exists()
    assert len(list(settings.DIGITS_JOBS_DIR.glob("2*"))) == 1  # that of the dataset


@pytest.mark.parametrize(
    "text",
    [
        "x" * 5_000_000,
        "layer { " * 600_000,
        "a: 1\n" * 1_000_000,
        CLASSIFIER.replace('"data"', '"nothing"'),
        "\x01\x02",
        " ",
    ],
    ids=["letters", "braces", "fields", "no such input", "control characters", "blank"],
)
def test_an_invalid_prototxt_is_refused(client, form, text):
    assert error_of(client.post(CREATE, form(custom_network=text)))
    assert not TrainedModel.objects.exists()


def test_a_network_without_a_loss_is_refused(client, form):
    error = error_of(client.post(CREATE, form(custom_network=CLASSIFIER.replace("SoftmaxWithLoss", "Accuracy"))))
    assert error == "the network can't be trained: it has no loss (a layer such as SoftmaxWithLoss)"


def test_a_network_with_a_loss_for_training_only_is_accepted(client, form):
    text = CLASSIFIER.replace('exclude { stage: "deploy" }', "include { phase: TRAIN }")
    assert client.post(CREATE, form(custom_network=text)).status_code == 200


def test_a_network_without_a_loss_in_validation_is_accepted_without_validations(client, form):
    beside = 'layer { name: "beside" type: "Power" bottom: "output" top: "beside" include { phase: TRAIN } }'
    loss = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "beside" bottom: "label" include { phase: TRAIN } }'
    text = f"{SCORES}{beside}{loss}{DEPLOYED}"
    error = error_of(client.post(CREATE, form(custom_network=text)))
    assert error == "the network can't be validated: it has no loss (a layer such as SoftmaxWithLoss)"
    assert client.post(CREATE, form(custom_network=text, val_interval=0)).status_code == 200


@pytest.mark.parametrize("text", [None, ""])
def test_a_custom_model_needs_its_network(client, form, text):
    assert error_of(client.post(CREATE, form(custom_network=text)))


@pytest.mark.parametrize("framework, language", [("torch", "Lua"), ("tensorflow", "Python")])
def test_networks_in_other_languages_are_refused(client, form, framework, language):
    error = error_of(client.post(CREATE, form(framework=framework)))
    assert error == f"A network in {language} can't be read; write it as Caffe prototxt."


@pytest.mark.parametrize("named", ["{folder}", "{folder}/weights.npz"])
def test_a_custom_model_starts_from_a_snapshot_at_a_path(client, form, make_dataset, make_model, named):
    other = make_model(make_dataset())
    folder = other.directory / "snapshots" / "epoch-1"
    write_weights(folder, other.network())
    client.post(CREATE, form(custom_network_snapshot=named.format(folder=folder)))
    assert TrainedModel.objects.get(name="mine").initial_weights() == str(folder / "weights.npz")


@pytest.mark.parametrize("named", ["", "model.onnx", "weights.npz"])
def test_a_custom_model_starts_from_the_model_onnx_of_a_snapshot(client, form, make_dataset, make_model, named):
    snapshot = add_snapshot(make_model(make_dataset()), 1, seed=1)
    client.post(CREATE, form(custom_network_snapshot=str(snapshot.directory / named)))
    assert TrainedModel.objects.get(name="mine").initial_weights() == str(snapshot.onnx_file)


def test_a_custom_model_starts_from_a_caffemodel_in_the_data_roots(client, form, tmp_path):
    (tmp_path / "net.caffemodel").write_bytes(b"\x0a\x00")
    client.post(CREATE, form(custom_network_snapshot=str(tmp_path / "net.caffemodel")))
    assert TrainedModel.objects.get().initial_weights() == str(tmp_path / "net.caffemodel")


def test_a_path_without_weights_or_outside_of_the_data_roots_is_refused(client, form, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.npz").write_text("no archive")
    (tmp_path / "new.caffemodel").write_bytes(b"\x89HDF\r\n\x1a\n")
    (tmp_path / "link.npz").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "pipe.npz")
    errors = {
        name: error_of(client.post(CREATE, form(custom_network_snapshot=name)), "custom_network_snapshot")
        for name in (
            "net.caffemodel",
            "/etc/passwd",
            *(str(tmp_path / name) for name in ("none", "empty", "text.npz", "new.caffemodel", "link.npz", "pipe.npz")),
        )
    }
    assert all(errors.values())
    assert "is not in a folder that this server may read" in errors["/etc/passwd"]
    assert "holds no weights" in errors[str(tmp_path / "text.npz")]
    assert not TrainedModel.objects.exists()


def test_the_wire_format_of_digits_has_the_field_as_key_of_an_error(client, form, settings):
    settings.DIGITS_WIRE_FORMAT = "digits"
    response = client.post(CREATE, form(custom_network="layer {"))
    assert response.status_code == 400
    assert list(response.json()["errors"]) == ["custom_network"]


# --- a network as a file -------------------------------------------------------------------------------------------
def upload(content, name="net.prototxt"):
    file = BytesIO(content)
    file.name = name
    return file


@pytest.mark.parametrize(
    "content",
    [
        CLASSIFIER.encode(),
        CLASSIFIER.encode("utf-8-sig"),
        CLASSIFIER.encode("utf-16"),
        CLASSIFIER.replace("\n", "\r\n").encode(),
    ],
    ids=["UTF-8", "UTF-8 with a mark", "UTF-16", "lines of Windows"],
)
def test_a_network_can_be_sent_as_a_file(client, form, content):
    response = client.post(CREATE, form(custom_network=upload(content)))
    assert response.status_code == 200, response.content
    assert TrainedModel.objects.get().custom_network.replace("\r\n", "\n") == CLASSIFIER


def test_a_byte_order_mark_before_a_network_is_not_stored(client, form):
    assert client.post(CREATE, form(custom_network="\ufeff" + CLASSIFIER)).status_code == 200
    assert TrainedModel.objects.get().custom_network == CLASSIFIER


def test_an_uploaded_network_stays_valid_beside_an_invalid_field(client, form):
    response = client.post(CREATE, form(custom_network=upload(CLASSIFIER.encode()), train_epochs=0))
    error_of(response, "train_epochs")


@pytest.mark.parametrize(
    "content, message",
    [
        (b"\x89PNG\r\n\xff\xd8", "net.prototxt is not UTF-8 text. Is it a prototxt?"),
        (b"layer {", "line 1, column 8: expected the name of a field, or the } for line 1, found the end of the text"),
        (b" " * 8_000_001, "This file has more than 8,000,000 bytes."),
    ],
)
def test_a_file_that_is_no_network_is_refused(client, form, content, message):
    assert error_of(client.post(CREATE, form(custom_network=upload(content)))) == message


@pytest.mark.parametrize("url", [CREATE, VISUALIZE])
def test_an_invalid_network_is_reported_together_with_an_unknown_dataset(client, form, url):
    response = client.post(url, form(dataset="20200101-000000-abcd", custom_network="layer {"))
    assert {error["field"] for error in response.json()["errors"]} == {"custom_network", "dataset"}


def test_an_uploaded_network_is_drawn(client):
    response = client.post(VISUALIZE, {"custom_network": upload(CLASSIFIER.encode("utf-8-sig"))})
    assert response.content.startswith(b"<svg"), response.content


def test_uploaded_weights_are_refused_with_advice(client, form):
    response = client.post(CREATE, form(custom_network_snapshot=upload(b"\x0a\x00", "net.caffemodel")))
    assert "Name a file on the server" in error_of(response, "custom_network_snapshot")


# --- a network that does not fit its dataset, or its weights ---------------------------------------------------------
TWO_SCORES = SCORES.replace('top: "output"', 'top: "output" inner_product_param { num_output: 2 }')
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "output" bottom: "label" exclude { stage: "deploy" } }\n'
CONVOLVED = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "all" type: "Pooling" bottom: "conv" top: "output" pooling_param { pool: AVE global_pooling: true } }
"""


@pytest.mark.parametrize(
    "scores, message",
    [
        (TWO_SCORES, "layer ip (type InnerProduct, line 1): num_output is 2, but the dataset has 10 categories; "
         "make it 10, or leave it out"),
        (CONVOLVED, "layer conv (type Convolution, line 2): num_output is 2, but the dataset has 10 categories; "
         "make it 10"),
    ],
)  # fmt: skip
def test_fewer_scores_than_categories_are_refused_by_the_form(client, form, built_dataset, scores, message):
    error = error_of(client.post(CREATE, form(dataset=built_dataset.pk, custom_network=scores + LOSS)))
    assert error == message
    assert not TrainedModel.objects.exists()


def test_more_scores_than_categories_are_allowed(client, form, built_dataset):
    text = TWO_SCORES.replace("num_output: 2", "num_output: 1000") + LOSS
    assert client.post(CREATE, form(dataset=built_dataset.pk, custom_network=text)).status_code == 200


def test_fewer_scores_than_categories_are_reported_together_with_another_field(client, form, built_dataset):
    sent = form(dataset=built_dataset.pk, custom_network=TWO_SCORES + LOSS, train_epochs=0)
    response = client.post(CREATE, sent)
    assert {error["field"] for error in response.json()["errors"]} == {"custom_network", "train_epochs"}


NORM = 'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "data" '
STILL = NORM + "batch_norm_param { use_global_stats: true } }\n"


def test_fixed_running_averages_need_weights_to_start_from(client, form):
    error = error_of(client.post(CREATE, form(custom_network=STILL + CLASSIFIER)))
    assert error.startswith("layer bn (type BatchNorm, line 1): use_global_stats: true fixes its running averages")


def test_running_averages_fixed_in_validation_only_need_no_weights(client, form):
    text = STILL.replace("batch_norm_param", "include { phase: TEST } batch_norm_param")
    text += 'layer { name: "b" type: "BatchNorm" bottom: "data" top: "data" include { phase: TRAIN } }\n'
    assert client.post(CREATE, form(custom_network=text + CLASSIFIER)).status_code == 200


def test_fixed_running_averages_are_accepted_with_weights(client, form, tmp_path):
    (tmp_path / "net.caffemodel").write_bytes(b"\x0a\x00")
    sent = form(custom_network=STILL + CLASSIFIER, custom_network_snapshot=str(tmp_path / "net.caffemodel"))
    assert client.post(CREATE, sent).status_code == 200
