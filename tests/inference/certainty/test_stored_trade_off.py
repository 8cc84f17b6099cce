"""What an evaluation stores about unsure answers, and where it is shown."""

import pytest
from django.core.management import call_command

from inference import services
from inference.tasks import evaluate
from models_app import evaluations
from models_app.results import Evaluation
from tests.support.samples.row_samples import add_snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server")]
BROWSER = {"Accept": "text/html"}


@pytest.fixture
def evaluation(built_dataset, make_model):
    """That of a snapshot of random weights on the validation images."""
    model = make_model(built_dataset)
    add_snapshot(model, 1, seed=1)
    evaluate(evaluations.evaluate(model, "val").pk)
    return model.evaluations.get()


def test_the_curve_and_the_threshold_are_in_the_api_on_the_page_and_with_the_snapshot(evaluation, client):
    facts = client.get(f"/api/v1/evaluations/{evaluation.pk}").json()
    curve = facts["risk_coverage"]
    assert curve[0] == {"threshold": 0.0, "answered": 1.0, "accuracy": evaluation.accuracy}
    shares = [point["answered"] for point in curve]
    assert shares == sorted(shares, reverse=True)
    assert facts["unsure_below"] == evaluation.unsure_below >= 0.5
    snapshot = services.find_snapshot(evaluation.trained_model_id)
    assert (snapshot.temperature, snapshot.unsure_below) == (evaluation.temperature, evaluation.unsure_below)
    page = client.get(f"/models/{evaluation.trained_model_id}/evaluation", headers=BROWSER).content.decode()
    assert f"below <b>{evaluation.unsure_below:g}</b> is called unsure" in page
    assert page.count('class="curve"') == 1


def test_an_evaluation_of_an_earlier_version_has_a_page_without_the_curve(evaluation, client):
    Evaluation.objects.update(risk_coverage=[], unsure_below=None)
    page = client.get(f"/models/{evaluation.trained_model_id}/evaluation", headers=BROWSER).content.decode()
    assert "Unsure answers" not in page


def test_the_command_shows_the_temperature_and_the_threshold(evaluation, capsys):
    call_command("evaluate", evaluation.trained_model_id, "--here")
    shown = capsys.readouterr().out
    assert f"temperature        {evaluation.temperature:.4f}" in shown
    assert f"unsure_below       {evaluation.unsure_below:.4f}" in shown


def test_the_page_does_not_compare_two_equal_errors_where_the_temperature_is_1(evaluation, client):
    address = f"/models/{evaluation.trained_model_id}/evaluation"
    Evaluation.objects.update(temperature=1, calibrated_error=0.05, calibration_error=0.05)
    page = client.get(address, headers=BROWSER).content.decode()
    assert ("is 1: no other one" in page, "5.00 % instead of 5.00 %" in page) == (True, False)
    Evaluation.objects.update(temperature=1.5)
    assert "5.00 % instead of 5.00 %" in client.get(address, headers=BROWSER).content.decode()
