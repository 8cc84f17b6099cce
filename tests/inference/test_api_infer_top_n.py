"""top_n: for each category the images with the highest scores."""

import io

import numpy as np
import pytest

from datasets.imagedb.images import decoding
from inference.engine.predictor import Predictor
from inference.engine.top_images import BestImages
from tests.support.samples.row_samples import DIGITS, image_list

URL = "/models/images/classification/top_n.json"


@pytest.fixture
def post(client, data_roots, model, digits_folder):
    """A function that posts a list of names in the folder of digits to top_n."""

    def post(names, url=URL, **fields):
        upload = io.BytesIO(image_list(*names))
        sent = {"job_id": model.pk, "image_list": upload, "image_folder": str(digits_folder)}
        return client.post(url, sent | fields)

    return post


NAMES = [f"{digit}/{number}.png" for digit in DIGITS for number in range(8)]  # more than one batch


@pytest.mark.django_db
@pytest.mark.parametrize("fields, count", [({}, 9), ({"top_n": 2}, 2), ({"top_n": 100}, 80)])
def test_each_category_has_its_images_of_the_highest_scores_first(post, model, digits_folder, fields, count):
    response = post(NAMES, **fields).json()["top_n"]
    pixels = np.stack([decoding.read_array(digits_folder / name, 28, 28, 1, "squash") for name in NAMES])
    scores = Predictor(model.newest_snapshot.onnx_file).scores(pixels)
    assert list(response) == DIGITS
    for column, category in enumerate(DIGITS):
        found = [percent for _, percent in response[category]]
        np.testing.assert_allclose(found, 100 * np.sort(scores[:, column])[::-1][:count], atol=0.006)
        for name, percent in response[category]:
            assert percent == pytest.approx(100 * scores[NAMES.index(name), column], abs=0.006)


@pytest.mark.django_db
def test_top_n_counts_images_that_cannot_be_loaded_and_obeys_num_test_images(post):
    response = post(["missing.png", *NAMES], num_test_images=4)
    assert response["X-Digits-Skipped"] == "1"
    assert {name for name, _ in response.json()["top_n"]["0"]} == set(NAMES[:3])


@pytest.mark.django_db
def test_the_page_shows_the_best_images_by_category(client, post):
    best = post(NAMES, top_n=1).json()["top_n"]
    page = post(NAMES, url=URL.removesuffix(".json"), top_n=1).content.decode()
    rows = page.split('<table class="table">')[1].split("</table>")[0].split("<tr>")[2:]
    for row, (category, [(name, percent)]) in zip(rows, best.items(), strict=True):
        assert f"<td>{category}</td>" in row
        assert f"{name} {percent:.2f}%" in row


@pytest.mark.django_db
@pytest.mark.parametrize("top_n", ["0", "-1", "many", "1000000000"])
def test_an_invalid_top_n_is_refused_with_its_field(post, top_n):
    response = post(NAMES, top_n=top_n)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, "top_n")


def test_the_earlier_of_images_with_equal_scores_comes_first():
    best = BestImages(2, 1)
    for names in (["a", "b"], ["c"], ["d"]):
        best.add(names, np.array([[0.5 if name != "c" else 0.75] for name in names], np.float32))
    assert best.of(0) == [("c", 0.75), ("a", 0.5)]
