"""classify_one: images, the response for them, and the errors of images and fields."""

import io

import pytest
from django.conf import settings
from PIL import Image

from datasets.imagedb.images import decoding
from digits_project.common.fetch import FetchPolicy
from digits_project.monitoring.metrics import REGISTRY
from inference.engine.predictor import Predictor
from models_app.networks import Layer, Network
from models_app.results import Evaluation
from tests.support.applications.web_samples import web_server
from tests.support.samples.heic_samples import heic_file
from tests.support.samples.row_samples import add_snapshot, with_categories

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
URL = "/models/images/classification/classify_one.json"


@pytest.fixture
def model(make_dataset, make_model, settings):
    """A model with snapshots at the epochs 1, 1.5 and 2, on a server that reads no file by its path."""
    model = make_model(with_categories(make_dataset()))
    for seed, epoch in enumerate((1, 1.5, 2)):
        add_snapshot(model, epoch, seed)
    settings.DIGITS_DATA_ROOTS = []
    return model


@pytest.fixture
def classify(client, model, image):
    """A function that posts the image, unless `fields` name another one, to classify_one."""

    def classify(**fields):
        named = {"image_path", "image_url"} & set(fields)
        form = {"job_id": model.pk, "image_file": None if named else upload(image)} | fields
        return client.post(URL, {name: value for name, value in form.items() if value is not None})

    return classify


def upload(path):
    return io.BytesIO(path.read_bytes())


def error_of(response):
    return response.status_code, response.json()["error"]["description"]


def test_the_response_has_the_five_best_categories_only(classify, ranking, image):
    response = classify().json()
    assert list(response) == ["predictions"]
    assert response["predictions"] == dict(ranking(image))
    assert list(response["predictions"].values()) == sorted(response["predictions"].values(), reverse=True)


def test_percentages_are_calibrated_once_an_evaluation_has_fitted_a_temperature(client, model, image):
    def classify():
        return client.post(f"{URL}?calibrated=1", {"job_id": model.pk, "image_file": upload(image)})

    reason = "lenet is not calibrated at epoch 2. The dataset of lenet has no images for val."
    assert error_of(classify()) == (409, reason)
    of_newest = {"job_id": "20260101-000000-0001", "trained_model": model, "epoch": 2, "name": "lenet"}
    Evaluation.objects.create(**of_newest, split="val", temperature=2.5, status="Done")
    pixels = decoding.read_array(image, 28, 28, 1, "squash")
    scores = Predictor(model.newest_snapshot.onnx_file).scores(pixels[None])[0]
    expected = sorted(100 * scores**0.4 / (scores**0.4).sum(), reverse=True)[:5]
    assert list(classify().json()["predictions"].values()) == pytest.approx(expected, abs=0.01)


def test_the_wire_format_of_digits_has_a_list_of_pairs(classify, ranking, image, settings):
    settings.DIGITS_WIRE_FORMAT = "digits"
    assert classify().json()["predictions"] == ranking(image)


@pytest.mark.parametrize("name", ["turned", "alpha"])
def test_a_heic_photo_is_classified_whatever_its_suffix(classify, ranking, name, tmp_path):
    (tmp_path / "IMG_0001.jpg").write_bytes(heic_file(name))
    response = classify(image_file=upload(tmp_path / "IMG_0001.jpg")).json()
    assert response["predictions"] == dict(ranking(tmp_path / "IMG_0001.jpg"))


def test_a_photo_that_crashes_its_decoder_is_refused_and_the_server_stays_up(classify):
    broken = io.BytesIO(heic_file("turned").replace(b"Exif", b"Ex\xdaf", 1))
    assert classify(image_file=broken).status_code == 422
    assert classify().status_code == 200


@pytest.mark.parametrize("sent, used", [(None, 2), ("", 2), ("-1", 2), ("1", 1), ("1.5", 1.5)])
def test_snapshot_epoch_chooses_the_snapshot_for_an_image_or_else_it_is_the_newest(
    classify, ranking, image, sent, used
):
    assert classify(snapshot_epoch=sent).json()["predictions"] == dict(ranking(image, used))


@pytest.mark.parametrize("sent", [None, "1.5"])
def test_a_classification_costs_one_query(classify, sent, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert classify(snapshot_epoch=sent).status_code == 200


def test_an_epoch_without_a_snapshot_is_refused_with_the_epochs_that_have_one(classify):
    assert error_of(classify(snapshot_epoch=7)) == (400, "lenet has no snapshot of epoch 7; its epochs are: 1, 1.5, 2.")


def test_the_job_id_for_an_image_can_be_in_the_query_string(client, ranking, model, image):
    response = client.post(f"{URL}?job_id={model.pk}", {"image_file": upload(image)})
    assert response.json()["predictions"] == dict(ranking(image))


def test_an_image_path_is_read_if_it_lies_in_a_data_root(classify, ranking, image, settings):
    settings.DIGITS_DATA_ROOTS = [image.parent]
    assert classify(image_path=str(image)).json()["predictions"] == dict(ranking(image))


def test_an_image_path_outside_of_the_data_roots_is_refused(classify, image):
    status, message = error_of(classify(image_path=str(image)))
    assert status == 400
    assert "may read" in message


def test_image_url_takes_a_path_and_refuses_a_url_by_default(classify, ranking, image, settings):
    settings.DIGITS_DATA_ROOTS = [image.parent]
    assert classify(image_url=str(image)).json()["predictions"] == dict(ranking(image))
    status, message = error_of(classify(image_url="http://example.com/cat.png"))
    assert status == 400
    assert "DIGITS_ALLOW_URLS" in message


def test_image_url_is_fetched_if_the_server_allows_urls(classify, ranking, image, settings):
    settings.DIGITS_ALLOW_URLS = True
    settings.DIGITS_URL_POLICY = FetchPolicy(allowed=lambda address: address.is_loopback, ports=None)
    with web_server(image.read_bytes()) as server:
        assert classify(image_url=f"{server.url}/image").json()["predictions"] == dict(ranking(image))
        status, message = error_of(classify(image_url=f"{server.url}/missing"))
    assert (status, "returned 404" in message) == (400, True)


def test_a_url_without_an_image_is_refused(classify, settings):
    settings.DIGITS_ALLOW_URLS = True
    settings.DIGITS_URL_POLICY = FetchPolicy(allowed=lambda address: address.is_loopback, ports=None)
    with web_server(b"<html>no image</html>") as server:
        assert error_of(classify(image_url=f"{server.url}/image"))[0] == 422


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "http://169.254.169.254/latest/", "http://localhost/"])
def test_urls_of_the_servers_own_network_are_refused_even_if_urls_are_allowed(classify, settings, url):
    settings.DIGITS_ALLOW_URLS = True
    status, message = error_of(classify(image_url=url))
    assert (status, "public internet" in message) == (400, True)


def test_an_image_path_takes_precedence_over_an_upload(classify, ranking, digits_folder, settings):
    settings.DIGITS_DATA_ROOTS = [digits_folder]
    other = digits_folder / "5" / "0.png"
    response = classify(image_path=str(other), image_file=upload(digits_folder / "3" / "0.png")).json()
    assert response["predictions"] == dict(ranking(other))


def test_a_missing_image_file_is_named_in_the_error(classify, image, settings):
    settings.DIGITS_DATA_ROOTS = [image.parent]
    assert error_of(classify(image_path=f"{image}x")) == (422, f"{image}x: No such file or directory")


def test_an_image_of_another_size_and_mode_is_converted_to_those_of_the_dataset(classify, ranking, tmp_path):
    photo = Image.radial_gradient("L").resize((90, 60)).convert("RGB")
    photo.save(tmp_path / "photo.jpg")
    response = classify(image_file=upload(tmp_path / "photo.jpg"))
    assert response.json()["predictions"] == dict(ranking(tmp_path / "photo.jpg"))


def test_a_request_without_a_job_id_is_refused(client, image):
    status, message = error_of(client.post(URL, {"image_file": upload(image)}))
    assert status == 400
    assert message.startswith("job_id is missing")


@pytest.mark.parametrize(
    "fields, field",
    [({"image_file": None}, "image_file"), ({"image_path": "/etc/passwd"}, "image_path")],
)
def test_a_missing_image_is_reported_together_with_an_invalid_field(classify, fields, field):
    errors = classify(snapshot_epoch="last", **fields).json()["errors"]
    assert {error["field"] for error in errors} == {field, "snapshot_epoch"}


def test_a_snapshot_epoch_that_is_no_finite_number_is_refused(classify):
    assert [error["field"] for error in classify(snapshot_epoch="nan").json()["errors"]] == ["snapshot_epoch"]


def test_a_request_without_an_image_is_refused(client, model):
    status, message = error_of(client.post(URL, {"job_id": model.pk}))
    assert status == 400
    assert message.startswith("No image")


def test_an_image_for_an_unknown_job_is_refused_with_404(classify):
    assert error_of(classify(job_id="20200101-000000-abcd")) == (404, "Job not found")


def test_an_unknown_job_is_reported_before_invalid_fields(client, db):
    response = client.post(URL, {"job_id": "20200101-000000-abcd", "snapshot_epoch": "last"})
    assert error_of(response) == (404, "Job not found")


def test_a_dataset_cannot_classify(classify, model):
    assert error_of(classify(job_id=model.dataset_id)) == (404, "Job not found")


def test_a_model_without_categories_cannot_classify(classify, model):
    with_categories(model.dataset, [])
    status, message = error_of(classify())
    assert status == 409
    assert message == (
        "lenet is not a classifier: its dataset has no categories; use infer_one or infer_many to get the numbers."
    )


def test_the_last_of_several_outputs_holds_the_confidences(classify, model, image):
    layers = (
        Layer("data", "Data", (), ("data",)),
        Layer("pool", "Pooling", ("data",), ("pool",), {"kernel_size": 4, "stride": 4}),
        Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 10, "weight_filler": {"type": "xavier"}}),
        Layer("softmax", "Softmax", ("ip",), ("softmax",)),
    )
    snapshot = add_snapshot(model, 3, 1, Network("two", (1, 28, 28), layers))
    pixels = decoding.read_array(image, 28, 28, 1, "squash")
    scores = Predictor(snapshot.onnx_file).outputs(pixels[None])["softmax"][0]
    best = max(zip(scores, model.dataset.categories, strict=True))
    assert next(iter(classify().json()["predictions"].items())) == (best[1], round(100 * float(best[0]), 2))


def test_a_model_without_a_snapshot_classifies_no_image(classify, model, make_model):
    fresh = make_model(model.dataset)
    assert error_of(classify(job_id=fresh.pk)) == (409, "lenet is Waiting and has no snapshot yet.")


@pytest.mark.parametrize("wire_format, status", [("documented", 422), ("digits", 500)])
@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_classify_one_refuses_an_image_that_cannot_be_decoded(classify, settings, wire_format, status, content):
    settings.DIGITS_WIRE_FORMAT = wire_format
    assert classify(image_file=io.BytesIO(content)).status_code == status


def test_a_snapshot_epoch_that_is_no_number_is_refused_with_its_field(classify):
    response = classify(snapshot_epoch="last")
    assert response.status_code == 400
    assert response.json()["errors"] == [
        {"field": "snapshot_epoch", "message": "This must be an epoch, best or latest."}
    ]


def test_a_missing_model_file_is_reported_without_the_path_of_the_jobs_folder(classify, model):
    model.newest_snapshot.onnx_file.unlink()
    status, message = error_of(classify())
    assert (status, "model.onnx is missing" in message) == (409, True)
    assert str(settings.DIGITS_JOBS_DIR) not in message


def timed_requests():
    return REGISTRY.get_sample_value("digits_inference_seconds_count", {"route": "ClassifyOne"}) or 0


def test_a_classification_is_timed(classify):
    before = timed_requests()
    classify()
    assert timed_requests() == before + 1
