"""The table of exceptions: one row gives the HTTP status of the API and the exit status of a command.

Without a database every route returns 503 with Retry-After, and works again as soon as the database is back.
"""

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation, TooManyFieldsSent
from django.core.management.base import CommandError
from django.db import OperationalError, ProgrammingError, connection
from django.http import Http404
from redis.exceptions import TimeoutError as RedisTimeoutError
from rest_framework.test import APIRequestFactory

from datasets.imagedb import BadImage
from digits_project.api.error_statuses import ERROR_STATUSES
from digits_project.api.exception_handler import exception_handler
from digits_project.common.errors import (
    BadInput,
    DamagedFile,
    DiskLimitReached,
    Failed,
    Gone,
    HasDependents,
    IllegalTransition,
    LimitReached,
    Refused,
)
from digits_project.jobs.console.command import ConsoleCommand
from models_app.trainer_process import TrainerDied

ROWS = [
    (BadInput("no folder /x"), 400, 2, "no folder /x"),
    (BadImage("cut short"), 400, 2, "cut short"),
    (DamagedFile("model.onnx was changed"), 409, 2, "model.onnx was changed"),
    (Refused("it runs"), 403, 1, "it runs"),
    (HasDependents("2 models depend on it"), 403, 1, "2 models depend on it"),
    (IllegalTransition("it is Done"), 409, 1, "it is Done"),
    (LimitReached("50 jobs wait"), 429, 1, "50 jobs wait"),
    (DiskLimitReached("10 GiB"), 507, 1, "10 GiB"),
    (PermissionDenied(), 403, 1, "Permission denied."),
]


@pytest.fixture
def response_to():
    """A function that returns the response to a request whose view raised the exception."""
    return lambda error: exception_handler(error, {"request": APIRequestFactory().get("/index.json")})


@pytest.fixture
def command_error():
    """A function that returns the CommandError of a command that raised the exception."""

    def command_error(error):
        class Failing(ConsoleCommand):
            needs_database = False

            def handle(self, **options):
                raise error

        with pytest.raises(CommandError) as caught:
            Failing().execute(verbosity=1, no_color=True, force_color=False, skip_checks=True)
        return caught.value

    return command_error


@pytest.mark.parametrize("error, http, exit_status, text", ROWS)
def test_an_exception_has_one_text_for_its_http_status_and_its_exit_status(
    response_to, command_error, error, http, exit_status, text
):
    response, failure = response_to(error), command_error(error)
    assert (response.status_code, response.data["error"]["description"]) == (http, text)
    assert (failure.returncode, str(failure)) == (exit_status, text)


@pytest.mark.parametrize(
    "error, http, text",
    [
        (Gone(), 404, "Job not found"),
        (Http404(), 404, "Not found"),
        (SuspiciousOperation(), 400, "The request is malformed."),
        (SuspiciousOperation("a NUL"), 400, "a NUL"),
        (RequestDataTooBig("x"), 413, "The fields of the form take more than 16 MiB; send large values as files."),
        (TooManyFieldsSent("x"), 400, "The form has more than 1000 fields or 100 files."),
    ],
)
def test_the_client_gets_the_text_of_the_error_table(response_to, error, http, text):
    response = response_to(error)
    assert (response.status_code, response.data["error"]["description"]) == (http, text)


@pytest.mark.parametrize(
    "error, exit_status, text",
    [
        (Gone(), 1, "The job has been deleted meanwhile."),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (Failed("the trainer was killed"), 1, "the trainer was killed"),
        (TrainerDied("the trainer was killed"), 1, "the trainer was killed"),
        (OperationalError("no route\nmore"), 1, "The database or Redis can't be reached (no route). Start the server"),
        (ProgrammingError("no such column"), 1, "The database lacks tables of this version (no such column)"),
    ],
)
def test_the_shell_gets_the_text_of_the_error_table(command_error, error, exit_status, text):
    failure = command_error(error)
    assert failure.returncode == exit_status
    assert str(failure).startswith(text)


@pytest.mark.parametrize("error", [OperationalError("gone"), RedisTimeoutError("slow")])
def test_an_unreachable_database_is_a_503_with_retry_after(response_to, error):
    response = response_to(error)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


@pytest.mark.parametrize("error", [Failed("a process died"), ProgrammingError("no table"), ValueError("a bug")])
def test_a_server_error_is_a_500_with_an_id_and_no_details(response_to, error):
    response = response_to(error)
    assert response.status_code == 500
    assert "error id" in response.data["error"]["description"]
    assert str(error) not in response.data["error"]["description"]


def test_every_row_of_the_error_table_has_an_http_or_an_exit_status():
    assert [error for error, row in ERROR_STATUSES.items() if row.http is None and row.exit is None] == []


# --- requests without a database -------------------------------------------------------------------------------------
@pytest.fixture
def unreachable_database(transactional_db, open_server, monkeypatch):
    """A wrong socket path makes PostgreSQL unreachable; `unreachable_database.undo()` restores it."""
    connection.close()
    monkeypatch.setitem(connection.settings_dict, "HOST", "/nonexistent")
    yield monkeypatch
    connection.close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "path", ["/index.json", "/datasets/20260101-000000-0000.json", "/models/20260101-000000-0000/status", "/admin/"]
)
def test_a_route_returns_503_and_retry_after_without_a_database(client, unreachable_database, settings, path):
    client.raise_request_exception = False
    client.cookies[settings.SESSION_COOKIE_NAME] = "of somebody"
    response = client.get(path)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "can't reach its database" in response.content.decode()


@pytest.mark.django_db(transaction=True)
def test_a_browser_gets_a_page_without_a_database(client, unreachable_database):
    client.raise_request_exception = False
    response = client.get("/", headers={"Accept": "text/html"})
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "<h1>The server is not ready</h1>" in response.content.decode()


@pytest.mark.django_db(transaction=True)
def test_the_503_without_a_database_has_the_usual_error_format(client, unreachable_database):
    error = client.get("/index.json").json()["error"]
    assert (error["message"], error["type"]) == ("503: Service Unavailable", "ServiceUnavailable")


@pytest.mark.django_db(transaction=True)
def test_a_post_returns_503_without_a_database(client, unreachable_database):
    assert client.post("/models/20260101-000000-0000/abort").status_code == 503


@pytest.mark.django_db(transaction=True)
def test_a_route_works_as_soon_as_the_database_is_back(client, unreachable_database):
    assert client.get("/index.json").status_code == 503
    unreachable_database.undo()
    assert client.get("/index.json").json() == {"datasets": [], "models": []}
