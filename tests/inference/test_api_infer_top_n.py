"""top_n: for each category the images that the network is surest of."""

import io

import numpy as np
import pytest

from datasets.imagedb.images import decoding
from inference.engine.predictor import Predictor
from inference.engine.top_images import BestImages
from tests.support.samples.row_samples import DIGITS, add_snapshot, image_list, with_categories

URL = "/models/images/classification/top_n.json"


@pytest.fixture
def model(make_dataset, make_model, settings, digits_folder):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [digits_folder]
    model = make_model(with_categories(make_dataset()))
    add_snapshot(model, 1, seed=1)
    return model


@pytest.fixture
def ask(client, model, digits_folder):
    def ask(names, url=URL, **fields):
        upload = io.BytesIO(image_list(*names))
        sent = {"job_id": model.pk, "image_list": upload, "image_folder": str(digits_folder)}
        return client.post(url, sent | fields)

    return ask


NAMES = [f"{digit}/{number}.png" for digit in DIGITS for number in range(8)]  # more than one batch


@pytest.mark.django_db
@pytest.mark.parametrize("asked, count", [({}, 9), ({"top_n": 2}, 2), ({"top_n": 100}, 80)])
def test_each_category_has_its_surest_images_first(ask, model, digits_folder, asked, count):
    answer = ask(NAMES, **asked).json()["top_n"]
    pixels = np.stack([decoding.read_array(digits_folder / name, 28, 28, 1, "squash") for name in NAMES])
    scores = Predictor(model.newest_snapshot.onnx_file).scores(pixels)
    assert list(answer) == DIGITS
    for column, category in enumerate(DIGITS):
        found = [percent for _, percent in answer[category]]
        np.testing.assert_allclose(found, 100 * np.sort(scores[:, column])[::-1][:count], atol=0.006)
        for name, percent in answer[category]:
            assert percent == pytest.approx(100 * scores[NAMES.index(name), column], abs=0.006)


@pytest.mark.django_db
def test_what_can_not_be_loaded_is_counted_and_num_test_images_cuts_the_list(ask):
    answer = ask(["missing.png", *NAMES], num_test_images=4)
    assert answer["X-Digits-Skipped"] == "1"
    assert {name for name, _ in answer.json()["top_n"]["0"]} == set(NAMES[:3])


@pytest.mark.django_db
def test_the_page_shows_them_by_category(client, ask):
    best = ask(NAMES, top_n=1).json()["top_n"]
    page = ask(NAMES, url=URL.removesuffix(".json"), top_n=1).content.decode()
    rows = page.split('<table class="table">')[1].split("</table>")[0].split("<tr>")[2:]
    for row, (category, [(name, percent)]) in zip(rows, best.items(), strict=True):
        assert f"<td>{category}</td>" in row
        assert f"{name} {percent:.2f}%" in row


@pytest.mark.django_db
@pytest.mark.parametrize("top_n", ["0", "-1", "many", "1000000000"])
def test_a_number_that_makes_no_sense_is_named(ask, top_n):
    answer = ask(NAMES, top_n=top_n)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "top_n")


def test_of_equally_sure_images_the_earlier_comes_first():
    best = BestImages(2, 1)
    for names in (["a", "b"], ["c"], ["d"]):
        best.add(names, np.array([[0.5 if name != "c" else 0.75] for name in names], np.float32))
    assert best.of(0) == [("c", 0.75), ("a", 0.5)]
