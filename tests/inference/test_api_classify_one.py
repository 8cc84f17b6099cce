"""classify_one: the image's way from the request to the answer, and everything that can be wrong with it."""

import io

import pytest
from django.conf import settings
from PIL import Image

from datasets.imagedb.images import decoding
from digits_project.common.fetch import FetchPolicy
from digits_project.monitoring.metrics import REGISTRY
from inference.engine.predictor import Predictor
from models_app.networks import Layer, Network
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
def image(digits_folder):
    return digits_folder / "3" / "0.png"


@pytest.fixture
def classify(client, model, image):
    def classify(**fields):
        named = {"image_path", "image_url"} & set(fields)
        sent = {"job_id": model.pk, "image_file": None if named else upload(image)} | fields
        return client.post(URL, {name: value for name, value in sent.items() if value is not None})

    return classify


def upload(path):
    return io.BytesIO(path.read_bytes())


def expected(model, epoch, image):
    """What the snapshot says when it is asked directly."""
    pixels = decoding.read_array(image, 28, 28, 1, "squash")
    scores = Predictor(model.snapshots.get(epoch=epoch).onnx_file).scores(pixels[None])[0]
    best = sorted(zip(scores.tolist(), model.dataset.categories, strict=True), reverse=True)[:5]
    return {category: round(100 * score, 2) for score, category in best}


def complaint(answer):
    return answer.status_code, answer.json()["error"]["description"]


def test_the_answer_has_the_five_best_and_nothing_else(classify, model, image):
    answer = classify().json()
    assert list(answer) == ["predictions"]
    assert answer["predictions"] == expected(model, 2, image)
    assert list(answer["predictions"].values()) == sorted(answer["predictions"].values(), reverse=True)


def test_public_clients_get_a_list_of_pairs(classify, model, image, settings):
    settings.DIGITS_WIRE_FORMAT = "digits"
    assert classify().json()["predictions"] == [list(pair) for pair in expected(model, 2, image).items()]


@pytest.mark.parametrize("name", ["turned", "alpha"])
def test_a_photo_of_a_phone_is_classified_as_what_it_is(classify, model, name, tmp_path):
    (tmp_path / "IMG_0001.jpg").write_bytes(heic_file(name))
    answer = classify(image_file=upload(tmp_path / "IMG_0001.jpg")).json()
    assert answer["predictions"] == expected(model, 2, tmp_path / "IMG_0001.jpg")


def test_a_photo_that_ends_its_decoder_is_refused_and_the_server_goes_on(classify):
    broken = io.BytesIO(heic_file("turned").replace(b"Exif", b"Ex\xdaf", 1))
    assert classify(image_file=broken).status_code == 422
    assert classify().status_code == 200


@pytest.mark.parametrize("asked, used", [(None, 2), ("", 2), ("-1", 2), ("1", 1), ("1.5", 1.5)])
def test_the_snapshot_is_the_one_of_the_epoch_or_the_newest(classify, model, image, asked, used):
    assert classify(snapshot_epoch=asked).json()["predictions"] == expected(model, used, image)


@pytest.mark.parametrize("asked", [None, "1.5"])
def test_an_answer_costs_one_query(classify, asked, django_assert_num_queries):
    with django_assert_num_queries(1):
        assert classify(snapshot_epoch=asked).status_code == 200


def test_an_epoch_without_a_snapshot_is_refused_and_told_which_there_are(classify):
    assert complaint(classify(snapshot_epoch=7)) == (400, "lenet has no snapshot of epoch 7; it has 1, 1.5, 2.")


def test_the_job_id_may_stand_in_the_query_string(client, model, image):
    answer = client.post(f"{URL}?job_id={model.pk}", {"image_file": upload(image)})
    assert answer.json()["predictions"] == expected(model, 2, image)


def test_a_path_of_the_server_is_read_if_it_lies_in_a_data_root(classify, model, image, settings):
    settings.DIGITS_DATA_ROOTS = [image.parent]
    assert classify(image_path=str(image)).json()["predictions"] == expected(model, 2, image)


def test_a_path_outside_the_data_roots_is_refused(classify, image):
    status, why = complaint(classify(image_path=str(image)))
    assert status == 400
    assert "may read" in why


def test_a_path_in_image_url_is_a_path_and_a_url_is_refused(classify, model, image, settings):
    settings.DIGITS_DATA_ROOTS = [image.parent]
    assert classify(image_url=str(image)).json()["predictions"] == expected(model, 2, image)
    status, why = complaint(classify(image_url="http://example.com/cat.png"))
    assert status == 400
    assert "DIGITS_ALLOW_URLS" in why


def test_where_urls_are_allowed_image_url_is_fetched(classify, model, image, settings):
    settings.DIGITS_ALLOW_URLS = True
    settings.DIGITS_URL_POLICY = FetchPolicy(allowed=lambda address: address.is_loopback, ports=None)
    with web_server(image.read_bytes()) as server:
        assert classify(image_url=f"{server.url}/image").json()["predictions"] == expected(model, 2, image)
        status, why = complaint(classify(image_url=f"{server.url}/missing"))
    assert (status, "answers 404" in why) == (400, True)


def test_what_a_url_holds_has_to_be_an_image(classify, settings):
    settings.DIGITS_ALLOW_URLS = True
    settings.DIGITS_URL_POLICY = FetchPolicy(allowed=lambda address: address.is_loopback, ports=None)
    with web_server(b"<html>no image</html>") as server:
        assert complaint(classify(image_url=f"{server.url}/image"))[0] == 422


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080/", "http://169.254.169.254/latest/", "http://localhost/"])
def test_where_urls_are_allowed_those_of_the_servers_own_network_are_not(classify, settings, url):
    settings.DIGITS_ALLOW_URLS = True
    status, why = complaint(classify(image_url=url))
    assert (status, "public internet" in why) == (400, True)


def test_of_a_path_and_an_upload_the_path_is_taken(classify, model, digits_folder, settings):
    settings.DIGITS_DATA_ROOTS = [digits_folder]
    other = digits_folder / "5" / "0.png"
    answer = classify(image_path=str(other), image_file=upload(digits_folder / "3" / "0.png")).json()
    assert answer["predictions"] == expected(model, 2, other)


def test_a_file_that_is_not_there_is_named(classify, image, settings):
    settings.DIGITS_DATA_ROOTS = [image.parent]
    assert complaint(classify(image_path=f"{image}x")) == (422, f"{image}x: No such file or directory")


def test_an_image_of_another_size_and_kind_is_brought_to_the_datasets(classify, model, tmp_path):
    photo = Image.radial_gradient("L").resize((90, 60)).convert("RGB")
    photo.save(tmp_path / "photo.jpg")
    answer = classify(image_file=upload(tmp_path / "photo.jpg"))
    assert answer.json()["predictions"] == expected(model, 2, tmp_path / "photo.jpg")


def test_no_job_id(client, image):
    status, why = complaint(client.post(URL, {"image_file": upload(image)}))
    assert status == 400
    assert why.startswith("job_id is missing")


@pytest.mark.parametrize(
    "fields, field",
    [({"image_file": None}, "image_file"), ({"image_path": "/etc/passwd"}, "image_path")],
)
def test_an_image_that_is_not_there_is_reported_beside_a_field_that_is_wrong(classify, fields, field):
    errors = classify(snapshot_epoch="last", **fields).json()["errors"]
    assert {error["field"] for error in errors} == {field, "snapshot_epoch"}


def test_an_epoch_that_is_no_finite_number_is_refused(classify):
    assert [error["field"] for error in classify(snapshot_epoch="nan").json()["errors"]] == ["snapshot_epoch"]


def test_no_image(client, model):
    status, why = complaint(client.post(URL, {"job_id": model.pk}))
    assert status == 400
    assert why.startswith("No image")


def test_an_unknown_job(classify):
    assert complaint(classify(job_id="20200101-000000-abcd")) == (404, "Job not found")


def test_an_unknown_job_is_told_before_what_is_wrong_with_the_form(client, db):
    answer = client.post(URL, {"job_id": "20200101-000000-abcd", "snapshot_epoch": "last"})
    assert complaint(answer) == (404, "Job not found")


def test_a_dataset_can_not_classify(classify, model):
    assert complaint(classify(job_id=model.dataset_id)) == (404, "Job not found")


def test_a_model_without_categories_can_not_classify(classify, model):
    with_categories(model.dataset, [])
    status, why = complaint(classify())
    assert status == 409
    assert why == (
        "lenet is no classifier: its dataset has no categories; ask infer_one or infer_many for the numbers."
    )


def test_of_several_outputs_the_last_are_the_confidences(classify, model, image):
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


def test_a_model_without_a_snapshot(classify, model, make_model):
    fresh = make_model(model.dataset)
    assert complaint(classify(job_id=fresh.pk)) == (409, "lenet is Waiting and has no snapshot yet.")


@pytest.mark.parametrize("wire_format, status", [("documented", 422), ("digits", 500)])
@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_what_can_not_be_decoded_is_told_so(classify, settings, wire_format, status, content):
    settings.DIGITS_WIRE_FORMAT = wire_format
    assert classify(image_file=io.BytesIO(content)).status_code == status


def test_an_epoch_that_is_no_number_is_named(classify):
    answer = classify(snapshot_epoch="last")
    assert answer.status_code == 400
    assert answer.json()["errors"] == [{"field": "snapshot_epoch", "message": "A valid number is required."}]


def test_a_snapshot_whose_file_is_gone_is_told_without_internals(classify, model):
    model.newest_snapshot.onnx_file.unlink()
    status, why = complaint(classify())
    assert (status, "model.onnx is missing" in why) == (409, True)
    assert str(settings.DIGITS_JOBS_DIR) not in why


def answers_timed():
    return REGISTRY.get_sample_value("digits_inference_seconds_count", {"route": "ClassifyOne"}) or 0


def test_an_answer_is_timed(classify):
    before = answers_timed()
    classify()
    assert answers_timed() == before + 1
