"""The images on which models disagree: as JSON and as a page, from what evaluations have stored."""

import numpy as np
import pytest

from datasets.contents import gallery
from inference import image_answers
from inference.tasks import evaluate
from models_app import evaluations
from tests.support.samples.row_samples import add_snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
BROWSER = {"Accept": "text/html"}


@pytest.fixture
def trio(built_dataset, make_model):
    """Three models of one dataset, each with an evaluated snapshot of random weights."""
    models = [make_model(built_dataset, name=f"model {seed}") for seed in (1, 2, 3)]
    for seed, model in enumerate(models, 1):
        add_snapshot(model, 1, seed=seed)
        evaluate(evaluations.evaluate(model, "val").pk)
    return models


@pytest.fixture
def asked(client, trio):
    """A function that returns the JSON of the three models' disagreements."""
    ids = ",".join(model.pk for model in trio)
    return lambda **query: client.get("/api/v1/disagreements", {"ids": ids, **query}).json()


def judged(trio):
    """Which images each model classifies correctly, from its answers and the dataset's own labels."""
    truths = gallery.labels(trio[0].dataset, "val")
    return np.stack([image_answers.read(model.evaluations.get().directory).answers == truths for model in trio])


def test_disagreements_are_the_images_that_some_models_recognize_and_others_do_not(asked, trio):
    right = judged(trio)
    sums = right.sum(axis=0)
    found = asked(page_size=500)
    assert 0 < found["count"] < found["images"]
    assert sorted(image["record"] for image in found["results"]) == np.flatnonzero((sums > 0) & (sums < 3)).tolist()
    assert (found["all_right"], found["none_right"]) == ((sums == 3).sum(), (sums == 0).sum())
    for i, facts in enumerate(found["models"]):
        expected = right[i].sum(), (right[i] & (sums == 1)).sum(), (~right[i] & (sums == 2)).sum()
        assert (facts["right"], facts["only_right"], facts["only_wrong"]) == expected
    names, truths = trio[0].dataset.category_names, gallery.labels(trio[0].dataset, "val")
    for image in found["results"]:
        assert image["category"] == names[truths[image["record"]]]
        assert [one["is_right"] for one in image["answers"]] == right[:, image["record"]].tolist()
        assert image["path"].split("/")[-2] == image["category"]


def test_disagreements_come_in_pages_the_surest_errors_first_and_by_the_only_model_that_is_right(asked, trio):
    whole = asked(page_size=500)["results"]
    surest = [max(one["confidence"] for one in image["answers"] if not one["is_right"]) for image in whole]
    assert surest == sorted(surest, reverse=True)
    pages = [asked(page_size=2, page=page)["results"] for page in (1, 2)]
    assert [*pages[0], *pages[1]] == whole[:4]
    right = judged(trio)
    best = int((right & (right.sum(axis=0) == 1)).sum(axis=1).argmax())
    only = asked(only=trio[best].pk, page_size=500)
    assert only["count"] == only["models"][best]["only_right"] > 0
    assert {tuple(one["is_right"] for one in image["answers"]) for image in only["results"]} == {
        tuple(i == best for i in range(3))
    }


def test_a_model_without_stored_answers_is_left_out_and_evaluated_again_from_the_page(asked, trio, client):
    old = trio[0].evaluations.get()
    (old.directory / image_answers.FILE).unlink()
    [left] = asked()["left_out"]
    assert (left["model_id"], "does not say what it answered" in left["why"]) == (trio[0].pk, True)
    address = f"/models/compare/disagreements?ids={','.join(model.pk for model in trio)}"
    assert "Evaluate 1 model again" in client.get(address, headers=BROWSER).content.decode()
    client.post(address, headers=BROWSER)
    evaluate(trio[0].evaluations.get().pk)
    assert asked()["left_out"] == []
    assert trio[0].evaluations.get().pk != old.pk


def test_a_model_that_is_not_evaluated_and_one_of_another_dataset_are_left_out(
    asked, trio, make_built, make_model, client
):
    other = make_model(make_built(name="other digits"))
    new = make_model(trio[0].dataset)
    found = client.get("/api/v1/disagreements", {"ids": f"{trio[0].pk},{other.pk},{new.pk}"}).json()
    assert [left["why"] for left in found["left_out"]] == [
        "it was trained on another dataset",
        "it has not been evaluated on the val images",
    ]
    assert (found["models"], found["count"]) == ([], 0)


def test_the_page_shows_each_disputed_image_with_the_answers_of_all_models(asked, trio, client):
    address = f"/models/compare/disagreements?ids={','.join(model.pk for model in trio)}&page_size=5"
    page = client.get(address, headers=BROWSER).content.decode()
    assert page.count('class="judged"') == 5
    assert page.count("✓") + page.count("✗") == 15
    assert 'rel="next"' in page
    assert f'href="/api/v1/disagreements?ids={trio[0].pk}' in page
    compare = client.get(f"/models/compare?ids={trio[0].pk},{trio[1].pk}", headers=BROWSER).content.decode()
    assert f'href="/models/compare/disagreements?ids={trio[0].pk},{trio[1].pk}"' in compare


def test_disagreements_of_one_model_are_refused(client, trio):
    response = client.get("/api/v1/disagreements", {"ids": trio[0].pk})
    assert response.status_code == 400
    assert "2 to 10 models" in response.content.decode()


def test_an_evaluation_stores_its_calibration_curve(trio, client):
    evaluation = trio[0].evaluations.get()
    bins = client.get(f"/api/v1/evaluations/{evaluation.pk}").json()["calibration"]
    assert sum(one["images"] for one in bins) == evaluation.images
    gaps = [one["images"] * abs(one["accuracy"] - one["confidence"]) for one in bins if one["images"]]
    assert sum(gaps) / evaluation.images == pytest.approx(evaluation.calibration_error)
    page = client.get(f"/models/{trio[0].pk}/evaluation", headers=BROWSER).content.decode()
    bars = sum(one["images"] > 0 for one in bins)
    assert page.count('class="bar"') == bars
    assert page.count('class="judged"') == len(evaluation.worst_errors[:24])
