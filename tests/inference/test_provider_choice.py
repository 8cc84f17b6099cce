"""DIGITS_INFERENCE_PROVIDER: what runs a snapshot, and where the server reports it."""

import re

import onnxruntime
import pytest
from prometheus_client.parser import text_string_to_metric_families

from digits_project.common.onnx_runtime import PROVIDERS
from digits_project.monitoring import doctor
from tests.support.samples.provider_samples import LACKING, MISSING, OTHER

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("data_roots")]


@pytest.fixture
def choose(monkeypatch, settings):
    """A function that registers a provider and sets it."""

    def choose(provider):
        monkeypatch.setitem(PROVIDERS, provider.name, provider)
        settings.DIGITS_INFERENCE_PROVIDER = provider.name

    return choose


@pytest.fixture
def loaded(client):
    """A function that returns how many snapshots each provider has loaded in this process, as /metrics reports it."""

    def loaded():
        families = text_string_to_metric_families(client.get("/metrics").content.decode())
        samples = [sample for family in families for sample in family.samples]
        return {s.labels["provider"]: s.value for s in samples if s.name == "digits_loaded_snapshots_total"}

    return loaded


@pytest.fixture
def classify(client, model, image):
    """A function that classifies an image with the newest snapshot and returns the predictions."""

    def classify():
        sent = {"job_id": model.pk, "image_path": str(image)}
        response = client.post("/models/images/classification/classify_one.json", sent)
        assert response.status_code == 200
        return response.json()["predictions"]

    return classify


def test_a_snapshot_runs_on_the_cpu_if_the_chosen_provider_is_missing(choose, classify, ranking, image, loaded, caplog):
    before = loaded().get("cpu", 0)
    choose(MISSING)
    assert list(classify().items()) == [tuple(pair) for pair in ranking(image)]
    assert loaded()["cpu"] == before + 1
    assert re.search(r"The CPU runs .*/model.onnx, because the installed ONNX Runtime has no Missing", caplog.text)


def test_a_snapshot_runs_with_the_chosen_provider(choose, classify, ranking, image, loaded):
    before = loaded().get(OTHER.name, 0)
    choose(OTHER)
    assert list(classify().items()) == [tuple(pair) for pair in ranking(image)]
    assert loaded()[OTHER.name] == before + 1


@pytest.mark.slow(2)
def test_the_doctor_warns_of_a_provider_that_the_package_lacks(settings):
    settings.DIGITS_INFERENCE_PROVIDER = LACKING[0]
    (finding,) = doctor._inference()
    assert (finding.state, PROVIDERS[LACKING[0]].install in finding.text) == ("warning", True)
    assert "runs snapshots on cpu" in finding.text


@pytest.mark.slow(2)
def test_the_doctor_says_what_runs_snapshots(settings):
    settings.DIGITS_INFERENCE_PROVIDER = "cpu"
    (finding,) = doctor._inference()
    text = f"ONNX Runtime {onnxruntime.__version__} runs snapshots on cpu"
    assert (finding.state, finding.text) == ("ok", text)
