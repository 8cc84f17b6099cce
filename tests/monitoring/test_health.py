"""What whoever watches the server is told."""

import pytest
from django.db import connection
from prometheus_client.parser import text_string_to_metric_families

from digits_project.jobs import lifecycle
from digits_project.jobs.models import Status
from tests.support.api_requests import make_account, token_header

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def open_server(settings):
    settings.DIGITS_AUTH = "open"


@pytest.fixture
def scrape(client):
    """{(name, labels…): value} as Prometheus reads it."""

    def scrape():
        answer = client.get("/metrics")
        assert answer["Content-Type"].startswith("text/plain; version=")
        families = text_string_to_metric_families(answer.content.decode())
        return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}

    return scrape


def test_a_process_that_answers_is_healthy_whatever_else_is_away(client, monkeypatch, transactional_db):
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nonexistent")
    assert client.get("/healthz").content == b"ok\n"


def test_with_everything_there_it_is_ready(client):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"database": "ok", "migrations": "ok", "redis": "ok"})


def test_without_its_database_it_is_not(client, monkeypatch, transactional_db):
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nonexistent")
    answer = client.get("/readyz")
    assert (answer.status_code, answer["Retry-After"]) == (503, "5")
    assert answer.json() == {"database": "missing", "migrations": "missing", "redis": "ok"}
    connection.close()


def test_with_the_tables_of_an_older_version_it_is_not(client):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'models_app'")
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["migrations"]) == (503, "missing")


def test_jobs_are_counted_by_kind_and_status(make_dataset, scrape):
    make_dataset()
    lifecycle.advance(make_dataset(), Status.RUNNING, worker="host/1/1")
    numbers = scrape()
    assert numbers["digits_jobs", "datasets", "Waiting"] == numbers["digits_queue_depth", "datasets"] == 1
    assert numbers["digits_jobs", "datasets", "Running"] == 1
    assert numbers["digits_jobs", "models", "Waiting"] == 0


def test_the_seconds_of_ended_jobs_add_up(built_dataset, scrape):
    took = (built_dataset.ended_at - built_dataset.started_at).total_seconds()
    numbers = scrape()
    assert numbers["digits_job_seconds_sum", "datasets", "Done"] == pytest.approx(took)
    assert numbers["digits_job_seconds_count", "datasets", "Done"] == 1


def test_devices_and_workers_are_counted(cpu, register_worker, scrape):
    register_worker("io")
    numbers = scrape()
    assert numbers["digits_devices", cpu.host, "free", "cpu"] == 1
    assert numbers["digits_workers", "io"] == 1


def test_where_there_are_accounts_the_metrics_take_one_and_the_probes_none(client, settings):
    settings.DIGITS_AUTH = "required"
    assert [client.get(path).status_code for path in ("/metrics", "/healthz", "/readyz")] == [401, 200, 200]
    assert client.get("/metrics", headers=token_header(make_account("prometheus", "viewer"))).status_code == 200
