"""The comparison of two evaluations: as JSON and as a page."""

import numpy as np
import pytest

from inference import image_answers
from inference.judging.proportions import mcnemar, wilson
from inference.tasks import evaluate
from models_app import evaluations
from tests.support.samples.row_samples import add_snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
BROWSER = {"Accept": "text/html"}


@pytest.fixture
def model(built_dataset, make_model):
    """A model with two snapshots of random weights, both evaluated."""
    model = make_model(built_dataset, name="LeNet")
    for epoch in (1, 2):
        add_snapshot(model, epoch, seed=epoch)
        evaluate(evaluations.evaluate(model, "val", epoch).pk)
    return model


@pytest.fixture
def pair(model):
    """The evaluations of its two snapshots."""
    return list(model.evaluations.order_by("epoch"))


@pytest.fixture
def compare(client):
    """A function that returns the response of the comparison of two evaluations."""
    return lambda a, b, **query: client.get(f"/api/v1/evaluations/{a.pk}/comparison", {"other": b.pk, **query})


def right_of(pair):
    return [image_answers.read(one.directory).right for one in pair]


def test_two_snapshots_are_compared_image_by_image(compare, pair):
    a, b = right_of(pair)
    found = compare(*pair, page_size=500).json()
    counts = [found[name] for name in ("both_right", "only_a_right", "only_b_right", "both_wrong")]
    assert counts == [(a & b).sum(), (a & ~b).sum(), (~a & b).sum(), (~a & ~b).sum()]
    assert found["count"] == (a != b).sum() > 0
    assert sorted(image["record"] for image in found["results"]) == np.flatnonzero(a != b).tolist()
    assert found["difference"] == pytest.approx(b.mean() - a.mean(), abs=1e-6)
    assert found["difference_interval"][0] < found["difference"] < found["difference_interval"][1]
    assert found["mcnemar"] == mcnemar((a & ~b).sum(), (~a & b).sum())._asdict()
    assert [found[side]["snapshot_epoch"] for side in "ab"] == [1, 2]
    assert found["a"]["accuracy_interval"] == pytest.approx(wilson(a.sum(), len(a)), abs=1e-6)
    assert f"B is right on {(~a & b).sum()} image" in found["sentence"]


def test_only_chooses_the_images_that_one_of_them_alone_classifies_correctly(compare, pair):
    a, b = right_of(pair)
    for only, chosen in (("a", a & ~b), ("b", ~a & b)):
        found = compare(*pair, only=only, page_size=500).json()
        assert sorted(image["record"] for image in found["results"]) == np.flatnonzero(chosen).tolist()


def test_an_unknown_choice_of_images_is_refused_with_those_that_there_are(compare, pair):
    refused = compare(*pair, only="c").json()["errors"]
    assert [(error["field"], error["message"].endswith("Choose a or b.")) for error in refused] == [("only", True)]
    assert compare(*pair, only="", page_size=500).json()["count"] > 0


def test_categories_come_with_the_largest_difference_first(compare, pair):
    rows = compare(*pair).json()["categories"]
    given = image_answers.read(pair[0].directory)
    a, b = right_of(pair)
    sizes = [abs(row["difference"]) for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    names = pair[0].trained_model.dataset.category_names
    for row in rows:
        of_category = given.truths == names.index(row["category"])
        assert (row["images"], row["a"], row["b"]) == (
            of_category.sum(),
            pytest.approx(a[of_category].mean()),
            pytest.approx(b[of_category].mean()),
        )
    assert sum(row["only_b_right"] for row in rows) == (~a & b).sum()


def test_evaluations_on_other_images_are_refused_with_what_differs(compare, pair, make_built, make_model):
    other = make_model(make_built(name="other digits"), name="other")
    add_snapshot(other, 1, seed=3)
    evaluate(evaluations.evaluate(other, "val").pk)
    response = compare(pair[0], other.evaluations.get())
    assert response.status_code == 409
    assert "differ in the dataset (digits and other digits)" in response.content.decode()
    same = compare(pair[0], pair[0])
    assert (same.status_code, "same evaluation" in same.content.decode()) == (409, True)


def test_an_evaluation_of_an_earlier_version_is_repeated_from_the_page(compare, pair, client, model):
    (pair[1].directory / image_answers.FILE).unlink()
    response = compare(*pair)
    assert (response.status_code, "evaluate again" in response.content.decode()) == (409, True)
    address = f"/models/compare/evaluations/{pair[0].pk}?other={pair[1].pk}"
    assert "Evaluate 1 snapshot again" in client.get(address, headers=BROWSER).content.decode()
    moved = client.post(address, headers=BROWSER)
    new = model.evaluations.get(epoch=2)
    assert (moved.status_code, moved.url) == (302, f"/models/compare/evaluations/{pair[0].pk}?other={new.pk}")
    evaluate(new.pk)
    assert compare(pair[0], new).status_code == 200


def test_the_page_offers_the_evaluations_on_the_same_images_and_shows_the_result(compare, pair, client):
    address = f"/models/compare/evaluations/{pair[0].pk}"
    offered = client.get(address, headers=BROWSER).content.decode()
    assert f'<option value="{pair[1].pk}"' in offered
    assert f'<option value="{pair[0].pk}"' not in offered
    page = client.get(address, {"other": pair[1].pk, "page_size": 5}, headers=BROWSER).content.decode()
    facts = compare(*pair).json()
    assert facts["sentence"] in page
    assert page.count('class="judged"') == min(5, facts["count"])
    assert f'href="/api/v1/evaluations/{pair[0].pk}/comparison?other={pair[1].pk}' in page
    evaluation = client.get(pair[0].get_absolute_url(), headers=BROWSER).content.decode()
    assert f'href="{address}"' in evaluation
