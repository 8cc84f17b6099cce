"""Without a database every route returns 503 with Retry-After, and works again as soon as the database is back."""

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def unreachable_database(transactional_db, open_server, monkeypatch):
    """A wrong socket path makes PostgreSQL unreachable; `unreachable_database.undo()` restores it."""
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nonexistent")
    yield monkeypatch
    connection.close()


@pytest.mark.parametrize(
    "path", ["/index.json", "/datasets/20260101-000000-0000.json", "/models/20260101-000000-0000/status", "/admin/"]
)
def test_a_route_returns_503_and_retry_after_without_a_database(client, unreachable_database, settings, path):
    client.raise_request_exception = False
    client.cookies[settings.SESSION_COOKIE_NAME] = "of somebody"
    response = client.get(path)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "can't reach its database" in response.content.decode()


def test_the_503_without_a_database_has_the_usual_error_format(client, unreachable_database):
    error = client.get("/index.json").json()["error"]
    assert (error["message"], error["type"]) == ("503: Service Unavailable", "ServiceUnavailable")


def test_a_post_returns_503_without_a_database(client, unreachable_database):
    assert client.post("/models/20260101-000000-0000/abort").status_code == 503


def test_a_route_works_as_soon_as_the_database_is_back(client, unreachable_database):
    assert client.get("/index.json").status_code == 503
    unreachable_database.undo()
    assert client.get("/index.json").json() == {"datasets": [], "models": []}
