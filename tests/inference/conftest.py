"""Fixtures that the tests of inference share."""

import io

import pytest

from datasets.imagedb.images import decoding
from inference.engine.predictor import Predictor
from tests.support.samples.row_samples import add_snapshot, with_categories


@pytest.fixture
def data_roots(settings, open_server, digits_folder, tmp_path):
    """A server without accounts, which can read the folder of digits and the test's own folder."""
    settings.DIGITS_DATA_ROOTS = [digits_folder, tmp_path]


@pytest.fixture
def model(make_dataset, make_model):
    """A LeNet with snapshots of random weights at the epochs 1 and 2."""
    model = make_model(with_categories(make_dataset()))
    for epoch in (1, 2):
        add_snapshot(model, epoch, seed=epoch)
    return model


@pytest.fixture
def image(digits_folder):
    """The path of an image of the digit 3."""
    return digits_folder / "3" / "0.png"


@pytest.fixture
def three_images(digits_folder):
    """The paths of images of three digits."""
    return [str(digits_folder / digit / "0.png") for digit in "369"]


@pytest.fixture
def ranking(model):
    """A function that computes the five best [category, percentage] of an image from the scores of a snapshot."""

    def ranking(path, epoch=2):
        pixels = decoding.read_array(path, 28, 28, 1, "squash")
        scores = Predictor(model.snapshots.get(epoch=epoch).onnx_file).scores(pixels[None])[0]
        best = sorted(zip(scores.tolist(), model.dataset.categories, strict=True), reverse=True)[:5]
        return [[category, round(100 * score, 2)] for score, category in best]

    return ranking


@pytest.fixture
def classify_many(client, model):
    """A function that posts a list, the content of a file or a text, to classify_many."""

    def classify_many(listed, suffix=".json", **fields):
        upload = io.BytesIO(listed) if isinstance(listed, bytes) else listed
        sent = {"job_id": model.pk, "image_list": upload} | fields
        return client.post(f"/models/images/classification/classify_many{suffix}", sent)

    return classify_many


@pytest.fixture
def post(client, data_roots, model, image):
    """A function that posts the image to an address, with further form fields."""

    def post(url, **fields):
        return client.post(url, {"job_id": model.pk, "image_file": io.BytesIO(image.read_bytes())} | fields)

    return post
