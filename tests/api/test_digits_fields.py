"""DIGITS's form fields: a value that would change a job is rejected, others pass, and unknown fields are listed."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from datasets.models import Dataset
from digits_project.api import digits_fields
from digits_project.api.viewsets import MAX_IGNORED_BYTES
from models_app.models import TrainedModel
from tests.support.samples.row_samples import add_snapshot, with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
DATASETS, MODELS = "/datasets/images/classification.json", "/models/images/classification.json"
CLASSIFY = "/models/images/classification/classify_one.json"
WIRE_FORMATS = ["documented", "digits"]
# The fields of DIGITS's model page with their default values.
DIGITS_DEFAULTS = {
    "aug_flip": "none",
    "aug_quad_rot": "none",
    "aug_rot": "0",
    "aug_scale": "0.0",
    "aug_noise": "0",
    "aug_contrast": "0",
    "aug_whitening": "",
    "aug_hsv_h": "0.02",
    "aug_hsv_s": "0.04",
    "aug_hsv_v": "0.06",
    "shuffle": "y",
    "python_layer_from_client": "false",
    "python_layer_server_file": "",
    "traces_interval": "0",
    "pretrained_networks": "None",
}


@pytest.fixture
def model_form(make_dataset):
    """A function that returns a valid form for a model, with more fields."""
    dataset = with_categories(make_dataset())
    return lambda **fields: {"model_name": "m", "dataset": dataset.pk, "standard_networks": "lenet"} | fields


@pytest.fixture
def dataset_form(digits_folder):
    """A function that returns a valid form for a dataset, with more fields."""
    return lambda **fields: {"dataset_name": "d", "folder_train": str(digits_folder)} | fields


@pytest.fixture(params=WIRE_FORMATS)
def errors(request, settings):
    """A function that returns {field: message} of a rejected form, in each wire format in turn."""
    settings.DIGITS_WIRE_FORMAT = request.param
    read = {
        "documented": lambda body: {error["field"]: error["message"] for error in body["errors"]},
        "digits": lambda body: {field: messages[0] for field, messages in body["errors"].items()},
    }
    return lambda response: read[request.param](response.json())


REJECTED = [
    ({"shuffle": "0"}, "shuffles the training images"),
    ({"shuffle": "false"}, "shuffles the training images"),
    ({"python_layer_from_client": "True"}, "no Python layers"),
    ({"python_layer_server_file": "/layers.py"}, "no Python layers"),
    ({"traces_interval": "10"}, "traces"),
    ({"method": "s3"}, "Choose standard, previous, pretrained or custom"),
]


@pytest.mark.parametrize("content_type", ["multipart", "application/json"])
@pytest.mark.parametrize("fields, advice", REJECTED)
def test_a_digits_field_that_would_change_a_training_is_rejected(
    client, model_form, errors, fields, advice, content_type
):
    options = {} if content_type == "multipart" else {"content_type": content_type}
    response = client.post(MODELS, model_form(**fields), **options)
    assert response.status_code == 400
    assert list(errors(response)) == list(fields)
    assert all(advice in message for message in errors(response).values())
    assert not TrainedModel.objects.exists()


def test_a_file_with_a_python_layer_is_rejected(client, model_form, errors):
    response = client.post(MODELS, model_form(python_layer_client_file=SimpleUploadedFile("layers.py", b"pass")))
    assert list(errors(response)) == ["python_layer_client_file"]


@pytest.mark.parametrize(
    "fields, advice",
    [
        ({"backend": "hdf5"}, "Send lmdb"),
        ({"backend": "tfrecords"}, "Send lmdb"),
        ({"compression": "gzip"}, "Send none"),
        ({"method": "s3", "s3_bucket": "images"}, "Choose folder or textfile"),
    ],
)
def test_a_digits_field_that_would_change_a_dataset_is_rejected(client, dataset_form, errors, fields, advice):
    field_errors = errors(client.post(DATASETS, dataset_form(**fields)))
    assert advice in field_errors[next(iter(fields))]
    assert not Dataset.objects.exists()


@pytest.mark.parametrize("key, kind", [("classify", "classification"), ("infer", "generic")])
def test_the_field_dont_resize_is_rejected(client, model_form, make_model, errors, key, kind):
    model = make_model(Dataset.objects.get(pk=model_form()["dataset"]))
    add_snapshot(model, epoch=1, seed=0)
    fields = {"job_id": model.pk, "image_file": SimpleUploadedFile("a.png", b"x"), "dont_resize": "1"}
    assert list(errors(client.post(f"/models/images/{kind}/{key}_one.json", fields))) == ["dont_resize"]


def test_a_rejected_digits_field_is_reported_with_the_other_field_errors(client, model_form, errors):
    form = model_form(shuffle="0", batch_size="0", lr_policy="exp", lr_exp_gamma="-1")
    assert set(errors(client.post(MODELS, form))) == {"shuffle", "batch_size", "lr_exp_gamma"}


@pytest.mark.parametrize("content_type", ["multipart", "application/json"])
def test_the_default_fields_of_a_digits_model_form_are_accepted_and_not_listed(client, model_form, content_type):
    options = {} if content_type == "multipart" else {"content_type": content_type}
    response = client.post(MODELS, model_form(**DIGITS_DEFAULTS), **options)
    assert response.status_code == 200
    assert "X-Digits-Ignored" not in response.headers


@pytest.mark.parametrize("value", [0, 0.0, False, None])
def test_a_json_value_that_means_off_is_accepted(client, model_form, value):
    fields = {"aug_hsv_use": bool(value), "aug_rot": value, "aug_scale": 0, "shuffle": True, "aug_flip": None}
    fields["aug_rot"] = None if value is None else float(value)
    assert client.post(MODELS, model_form(**fields), content_type="application/json").status_code == 200


def test_the_default_fields_of_a_digits_dataset_form_are_accepted(client, dataset_form):
    fields = {"backend": "lmdb", "compression": "none", "method": "folder", "s3_pct_val": "25", "s3_bucket": ""}
    response = client.post(DATASETS, dataset_form(**fields))
    assert (response.status_code, response.headers.get("X-Digits-Ignored")) == (200, None)


def test_the_field_textfile_shuffle_can_be_off(client, dataset_form):
    """The server supports the field itself, so that it is not in the list of DIGITS's fields."""
    assert "textfile_shuffle" not in digits_fields.DATASET
    response = client.post(DATASETS, dataset_form(textfile_shuffle="0"))
    assert (response.status_code, response.headers.get("X-Digits-Ignored")) == (200, None)


@pytest.mark.parametrize("wire_format", WIRE_FORMATS)
@pytest.mark.parametrize("content_type", ["multipart", "application/json"])
def test_unknown_fields_are_ignored_and_listed_in_a_header(client, model_form, settings, wire_format, content_type):
    settings.DIGITS_WIRE_FORMAT = wire_format
    options = {} if content_type == "multipart" else {"content_type": content_type}
    unknown = {"wieght_decay": "0.1", "team": "g", "a,b: c": "1", "größe": "2"}
    companions = {"csrfmiddlewaretoken": "x", "csrf_token": "x", "username": "ada", "submit": "Create"}
    response = client.post(MODELS, model_form(**unknown, **companions), **options)
    assert response.status_code == 200
    assert response.headers["X-Digits-Ignored"] == "a%2Cb%3A%20c, gr%C3%B6%C3%9Fe, team, wieght_decay"


def test_an_invalid_form_also_lists_unknown_fields(client, model_form):
    response = client.post(MODELS, model_form(batch_size="0", wieght_decay="0.1"))
    assert (response.status_code, response.headers["X-Digits-Ignored"]) == (400, "wieght_decay")


def test_a_redirect_of_a_browser_also_lists_unknown_fields(client, model_form):
    response = client.post(MODELS.removesuffix(".json"), model_form(colour="red"), headers={"Accept": "text/html"})
    assert (response.status_code, response.headers["X-Digits-Ignored"]) == (302, "colour")


def test_the_snapshot_fields_of_previous_networks_are_not_listed_as_unknown(client, model_form):
    response = client.post(MODELS, model_form(**{"20150820-120000-abcd-snapshot": "3"}))
    assert (response.status_code, response.headers.get("X-Digits-Ignored")) == (200, None)


def test_the_fields_of_another_method_are_not_listed_as_unknown(client, dataset_form):
    response = client.post(DATASETS, dataset_form(textfile_use_val="y", textfile_labels_file="x"))
    assert (response.status_code, response.headers.get("X-Digits-Ignored")) == (200, None)


@pytest.mark.parametrize(
    "route, form",
    [
        ("/models/customize.json", {"network": "lenet"}),
        ("/models/visualize-lr.json", {}),
        ("/login.json", {"username": "ada"}),
        (CLASSIFY, {"job_id": "nobody"}),
    ],
)
def test_every_route_with_a_form_lists_unknown_fields(client, route, form):
    assert client.post(route, form | {"learning_rat": "1"}).headers["X-Digits-Ignored"] == "learning_rat"


def test_an_update_of_a_job_lists_unknown_fields(client, make_dataset):
    body = {"job_name": "new", "job_note": "typo"}
    response = client.put(f"/jobs/{make_dataset().pk}", body, content_type="application/json")
    assert (response.status_code, response.headers["X-Digits-Ignored"]) == (200, "job_note")


def test_the_header_of_unknown_fields_has_a_maximum_length(client, model_form):
    names = {f"{number:04}{'ü' * 500}": "" for number in range(900)}
    header = client.post(MODELS, model_form(**names), content_type="application/json").headers["X-Digits-Ignored"]
    assert len(header) <= MAX_IGNORED_BYTES
    assert [name[:4] for name in header.split(", ")] == ["0000", "0001", "0002", "0003", "0004"]


@pytest.mark.parametrize(
    "name, listed", [("\ud83d", "%3F"), ("a\r\nX-Other: 1", "a%0D%0AX-Other%3A%201"), ("\0", "%00")]
)
def test_the_names_of_unknown_fields_are_encoded_in_the_header(client, model_form, name, listed):
    response = client.post(MODELS, model_form(**{name: "x"}), content_type="application/json")
    assert (response.status_code, response.headers["X-Digits-Ignored"]) == (200, listed)
