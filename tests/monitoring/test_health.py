"""Health, readiness and metrics."""

import pytest
from django.db import connection
from prometheus_client.parser import text_string_to_metric_families

from digits_project.jobs import lifecycle
from digits_project.jobs.models import Status
from digits_project.monitoring.metrics import INFERENCE_SECONDS
from tests.support.api_requests import make_account, token_header
from tests.support.webserver import first_of_two, forked

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def open_server(settings):
    settings.DIGITS_AUTH = "open"


@pytest.fixture
def scrape(client):
    """A function that returns {(name, labels…): value} of /metrics, as Prometheus reads it."""

    def scrape():
        response = client.get("/metrics")
        assert response["Content-Type"].startswith("text/plain; version=")
        families = text_string_to_metric_families(response.content.decode())
        return {
            (sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples
        }

    return scrape


def test_healthz_succeeds_without_a_database(client, monkeypatch, transactional_db):
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nonexistent")
    assert client.get("/healthz").content == b"ok\n"


def test_readyz_succeeds_with_database_tables_and_redis(client):
    response = client.get("/readyz")
    assert (response.status_code, response.json()) == (200, {"database": "ok", "migrations": "ok", "redis": "ok"})


def test_readyz_fails_without_a_database(client, monkeypatch, transactional_db):
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nonexistent")
    response = client.get("/readyz")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert response.json() == {"database": "missing", "migrations": "missing", "redis": "ok"}
    connection.close()


def test_readyz_fails_on_tables_of_an_older_version(client):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'models_app'")
    response = client.get("/readyz")
    assert (response.status_code, response.json()["migrations"]) == (503, "missing")


def test_the_metrics_count_jobs_by_kind_and_status(make_dataset, scrape):
    make_dataset()
    lifecycle.advance(make_dataset(), Status.RUNNING, worker="host/1/1")
    numbers = scrape()
    assert numbers["digits_jobs", "datasets", "Waiting"] == numbers["digits_queue_depth", "datasets"] == 1
    assert numbers["digits_jobs", "datasets", "Running"] == 1
    assert numbers["digits_jobs", "models", "Waiting"] == 0


def test_the_metrics_sum_the_seconds_of_ended_jobs(built_dataset, scrape):
    duration = (built_dataset.ended_at - built_dataset.started_at).total_seconds()
    numbers = scrape()
    assert numbers["digits_job_seconds_sum", "datasets", "Done"] == pytest.approx(duration)
    assert numbers["digits_job_seconds_count", "datasets", "Done"] == 1


def test_the_metrics_count_devices_and_workers(cpu, register_worker, scrape):
    register_worker("io")
    numbers = scrape()
    assert numbers["digits_devices", cpu.host, "free", "cpu"] == 1
    assert numbers["digits_workers", "io"] == 1


def test_the_metrics_sum_the_inference_of_all_web_processes(scrape):
    def classify():
        with INFERENCE_SECONDS.time("ClassifyOne"):
            pass

    with first_of_two() as shared, forked(lambda: (shared.join(), classify())):
        classify()
        found = scrape()
    assert found["digits_web_processes",] == 2
    assert found["digits_inference_seconds_count", "ClassifyOne"] == 2
    assert found["digits_inference_seconds_sum", "ClassifyOne"] > 0
    assert found["digits_inference_seconds_bucket", "+Inf", "ClassifyOne"] == 2


def test_metrics_need_a_login_and_probes_need_none(client, settings):
    settings.DIGITS_AUTH = "required"
    assert [client.get(path).status_code for path in ("/metrics", "/healthz", "/readyz")] == [401, 200, 200]
    assert client.get("/metrics", headers=token_header(make_account("prometheus", "viewer"))).status_code == 200
