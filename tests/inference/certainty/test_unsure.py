"""Answers that are not sure enough: the header, the details, the page and the command."""

import json

import pytest
from django.core.management import CommandError, call_command

from datasets.imagedb.images import decoding
from inference.engine.predictor import Predictor
from models_app.results import Evaluation

pytestmark = pytest.mark.django_db
ONE = "/models/images/classification/classify_one"
HEADER = "X-Digits-Unsure"
TEMPERATURE = 0.5


@pytest.fixture
def confidence(model, image):
    """The calibrated confidence of the newest snapshot for the image."""
    scores = Predictor(model.newest_snapshot.onnx_file).scores(decoding.read_array(image, 28, 28, 1, "squash")[None])[0]
    powers = scores.astype(float) ** (1 / TEMPERATURE)
    return powers.max() / powers.sum()


def evaluate(model, **fitted):
    about = {"job_id": "20260101-000000-0001", "trained_model": model, "epoch": 2, "name": "lenet", "split": "val"}
    return Evaluation.objects.create(**about, status="Done", temperature=TEMPERATURE, **fitted)


def test_the_header_says_whether_the_calibrated_confidence_is_below_the_threshold(post, model, confidence):
    assert HEADER not in post(f"{ONE}.json").headers
    evaluation = evaluate(model, unsure_below=confidence + 0.01)
    assert post(f"{ONE}.json")[HEADER] == "true"
    Evaluation.objects.filter(pk=evaluation.pk).update(unsure_below=confidence - 0.01)
    response = post(f"{ONE}.json")
    assert (response[HEADER], list(response.json())) == ("false", ["predictions"])


def test_a_request_can_give_a_threshold_of_its_own(post, model, confidence):
    evaluate(model, unsure_below=confidence + 0.01)
    assert post(f"{ONE}.json?unsure_below={confidence - 0.01}")[HEADER] == "false"
    refused = post(f"{ONE}.json?unsure_below=80")
    assert [error["field"] for error in refused.json()["errors"]] == ["unsure_below"]


def test_a_snapshot_without_an_evaluation_is_judged_by_the_confidence_that_it_gives(post, ranking, image):
    raw = ranking(image)[0][1] / 100
    assert post(f"{ONE}.json?unsure_below={raw + 0.01}")[HEADER] == "true"
    body = post(f"{ONE}.json?unsure_below={raw - 0.01}&details=1").json()
    assert (body["unsure"], body["temperature"]) == (False, None)
    assert body["confidence"] == pytest.approx(raw, abs=1e-4)


def test_the_body_has_the_facts_with_details(post, model, confidence):
    evaluate(model, unsure_below=0.9)
    body = post(f"{ONE}.json?details=1").json()
    assert list(body) == ["predictions", "unsure", "confidence", "threshold", "temperature"]
    assert (body["unsure"], body["threshold"], body["temperature"]) == (True, 0.9, TEMPERATURE)
    assert body["confidence"] == pytest.approx(confidence, abs=1e-5)


def test_the_page_has_a_badge_beside_an_unsure_prediction(post, model):
    evaluation = evaluate(model, unsure_below=0.9)
    assert "Unsure, perhaps none of these" in post(ONE, headers={"Accept": "text/html"}).content.decode()
    Evaluation.objects.filter(pk=evaluation.pk).update(unsure_below=0)
    assert "Unsure, perhaps none of these" not in post(ONE, headers={"Accept": "text/html"}).content.decode()


def test_the_command_says_of_each_image_whether_the_answer_is_unsure(model, three_images, capsys):
    def classify(threshold):
        call_command("classify", model.pk, *three_images, "--unsure-below", threshold, "--json")
        return [json.loads(line)["unsure"] for line in capsys.readouterr().out.splitlines()]

    with pytest.raises(CommandError, match="has no threshold: give a number"):
        classify("auto")
    evaluate(model, unsure_below=1)
    assert classify("auto") == [True] * 3
    assert classify("0") == [False] * 3
    call_command("classify", model.pk, three_images[0], "--unsure-below", "1", "--top", "1")
    assert capsys.readouterr().out.splitlines()[0] == "image,category_1,percent_1,unsure"


def test_a_list_says_of_each_image_whether_the_answer_is_unsure(classify_many, data_roots, model, three_images):
    evaluate(model, unsure_below=1)
    listed = "\n".join([*three_images, three_images[0]])
    plain = classify_many(listed).json()
    assert list(plain) == ["classifications"]
    found = classify_many(listed, suffix=".json?details=1").json()
    assert found == {**plain, "unsure": dict.fromkeys(three_images, True)}
    sure = classify_many(listed, suffix=".json?details=1&unsure_below=0").json()
    assert sure["unsure"] == dict.fromkeys(three_images, False)


def test_the_page_of_a_list_has_a_badge_beside_each_unsure_image(classify_many, data_roots, model, three_images):
    evaluation = evaluate(model, unsure_below=1)
    badges = []
    for threshold in (1, 0):
        Evaluation.objects.filter(pk=evaluation.pk).update(unsure_below=threshold)
        page = classify_many("\n".join(three_images), suffix="").content.decode()
        badges.append(page.count("Unsure, perhaps none of these"))
    assert badges == [3, 0]
