"""The database is away: every route says so, says when to ask again, and answers as soon as it is back."""

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def away(transactional_db, monkeypatch, settings):
    """PostgreSQL can't be reached until `away.undo()`: its socket is not where it was."""
    settings.DIGITS_AUTH = "open"
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nonexistent")
    yield monkeypatch
    connection.close()


@pytest.mark.parametrize(
    "path", ["/index.json", "/datasets/20260101-000000-0000.json", "/models/20260101-000000-0000/status", "/admin/"]
)
def test_a_route_whose_database_is_away_is_a_503_that_says_when_to_ask_again(client, away, settings, path):
    client.raise_request_exception = False
    client.cookies[settings.SESSION_COOKIE_NAME] = "of somebody"
    answer = client.get(path)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "can't reach its database" in answer.content.decode()


def test_the_answer_has_the_shape_of_every_error(client, away):
    error = client.get("/index.json").json()["error"]
    assert (error["message"], error["type"]) == ("503: Service Unavailable", "ServiceUnavailable")


def test_a_post_is_refused_likewise(client, away):
    assert client.post("/models/20260101-000000-0000/abort").status_code == 503


def test_it_answers_as_soon_as_the_database_is_back(client, away):
    assert client.get("/index.json").status_code == 503
    away.undo()
    assert client.get("/index.json").json() == {"datasets": [], "models": []}
