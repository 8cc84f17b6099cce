"""A warm request to classify an image needs no query, and still no response ignores a change of the rows behind it."""

import contextlib
import io

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client

from digits_project.accounts.login_throttling import ThrottledBackend
from digits_project.accounts.oidc import OidcBackend
from digits_project.common import row_cache
from digits_project.jobs import lifecycle
from digits_project.jobs.models import Status
from inference import services
from models_app.results import Evaluation
from tests.support.api_requests import make_account, token_header
from tests.support.samples.row_samples import add_snapshot
from tests.support.server import wait_until
from tests.support.webserver import Deaf, connect, opened_cache

pytestmark = pytest.mark.django_db(transaction=True)
URL = "/models/images/classification/classify_one.json"


@pytest.fixture(autouse=True)
def _private_server(settings):
    settings.DIGITS_AUTH, settings.DIGITS_PRIVATE = "required", True


@pytest.fixture
def lab():
    return Group.objects.create(name="lab")


@pytest.fixture
def users(model, lab):
    """Ada, who owns the model, and ben, of the group that it is shared with."""
    for role in ("viewer", "user", "operator"):
        Group.objects.get_or_create(name=role)
    lifecycle.advance(model, Status.ERROR)  # a job that has ended can be deleted
    model.shared_with.set([lab])
    return {"ada": make_account("ada", "user"), "ben": make_account("ben", "viewer", "lab")}


@pytest.fixture(params=["token", "session"])
def credentials(request, users):
    """A function that returns headers with the credentials of a user."""
    return lambda name: {"token": token_header, "session": session_header}[request.param](users[name])


def session_header(user):
    client = Client()
    client.force_login(user)
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}


@pytest.fixture
def asked(model, image):
    """A function that classifies an image; the status code and the body of the response."""

    def asked(headers, **fields):
        form = {"job_id": model.pk, "image_file": io.BytesIO(image.read_bytes())} | fields
        response = Client().post(URL, form, headers=headers)
        return response.status_code, response.content

    return asked


def execute_elsewhere(statement, *values):
    """As another process changes rows: on another connection, past Django's models."""
    with contextlib.closing(connect()) as other, other, other.cursor() as cursor:
        cursor.execute(statement, values)


# --- no query --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["ada", "ben"])
@pytest.mark.parametrize("epoch", ["", "1"])
def test_a_warm_request_needs_no_query(asked, credentials, name, epoch, django_assert_num_queries):
    headers = credentials(name)
    with opened_cache():
        first = asked(headers, snapshot_epoch=epoch)
        asked(headers, snapshot_epoch=epoch)  # the first one noted the use of the token, which drops what was cached
        with django_assert_num_queries(0):
            assert asked(headers, snapshot_epoch=epoch) == first
    assert first[0] == 200


def test_a_warm_request_to_an_open_server_needs_no_query(asked, model, settings, django_assert_num_queries):
    settings.DIGITS_AUTH, settings.DIGITS_PRIVATE = "open", False
    with opened_cache():
        assert asked({})[0] == 200
        with django_assert_num_queries(0):
            assert asked({})[0] == 200


def test_who_may_not_see_a_model_gets_no_response_that_is_cached_for_others(asked, users):
    eve = make_account("eve", "viewer")
    with opened_cache():
        assert [asked(token_header(users["ada"]))[0] for _ in range(3)] == [200, 200, 200]
        assert asked(token_header(eve))[0] == 404


# --- changes by other processes --------------------------------------------------------------------------------------
@pytest.mark.parametrize("statement, status", [
    ("DELETE FROM models_app_trainedmodel_shared_with", 404),
    ("DELETE FROM auth_user_groups WHERE group_id = (SELECT id FROM auth_group WHERE name = 'lab')", 404),
    ("DELETE FROM auth_user_groups", 403),
    ("UPDATE auth_group SET name = 'visitor' WHERE name = 'viewer'", 403),
    ("UPDATE auth_user SET is_active = false", 401),
    ("DELETE FROM models_app_snapshot", 409),
])  # fmt: skip
def test_a_right_that_another_process_takes_away_ends(asked, credentials, statement, status):
    headers = credentials("ben")
    with opened_cache():
        assert [asked(headers)[0] for _ in range(2)] == [200, 200]
        execute_elsewhere(statement)
        wait_until(lambda: asked(headers)[0] == status, seconds=row_cache.TRUST_SECONDS)


@pytest.mark.parametrize("statement, status", [
    ("DELETE FROM accounts_accesstoken", 401),
    ("UPDATE accounts_accesstoken SET expires_at = now()", 401),
    ("UPDATE accounts_accesstoken SET scope = 'read'", 403),
])  # fmt: skip
def test_a_token_that_another_process_withdraws_or_limits_is_refused(asked, users, statement, status):
    headers = token_header(users["ben"])
    with opened_cache():
        assert [asked(headers)[0] for _ in range(2)] == [200, 200]
        execute_elsewhere(statement)
        wait_until(lambda: asked(headers)[0] == status, seconds=row_cache.TRUST_SECONDS)


@pytest.mark.parametrize("statement", [
    "DELETE FROM django_session",
    "UPDATE django_session SET expire_date = now()",
    "UPDATE auth_user SET password = 'another'",
])  # fmt: skip
def test_a_session_that_another_process_ends_is_refused(asked, users, statement):
    headers = session_header(users["ben"])
    with opened_cache():
        assert [asked(headers)[0] for _ in range(2)] == [200, 200]
        execute_elsewhere(statement)
        wait_until(lambda: asked(headers)[0] == 401, seconds=row_cache.TRUST_SECONDS)


def test_a_model_that_another_process_gives_away_is_not_shown_to_its_former_owner(asked, credentials):
    headers = credentials("ada")
    with opened_cache():
        assert [asked(headers)[0] for _ in range(2)] == [200, 200]
        execute_elsewhere("UPDATE models_app_trainedmodel SET owner = 'eve'")
        wait_until(lambda: asked(headers)[0] == 404, seconds=row_cache.TRUST_SECONDS)


def test_the_newest_snapshot_and_the_categories_are_those_of_now(asked, model, users):
    headers = token_header(users["ada"])
    with opened_cache():
        before = [asked(headers) for _ in range(2)][-1]
        add_snapshot(model, 3, seed=9)
        wait_until(lambda: asked(headers) != before, seconds=row_cache.TRUST_SECONDS)
        execute_elsewhere("UPDATE datasets_dataset SET categories = %s", '["a","b","c","d","e","f","g","h","i","j"]')
        wait_until(lambda: b'"a"' in asked(headers)[1] + asked(headers)[1], seconds=row_cache.TRUST_SECONDS)


def test_a_threshold_that_an_evaluation_in_another_process_chose_counts_at_once(model, image, users):
    def header():
        form = {"job_id": model.pk, "image_file": io.BytesIO(image.read_bytes())}
        return Client().post(URL, form, headers=token_header(users["ada"])).headers.get("X-Digits-Unsure")

    of_newest = {"job_id": "20260101-000000-0001", "trained_model": model, "epoch": 2, "name": "lenet", "split": "val"}
    Evaluation.objects.create(**of_newest)
    with opened_cache():
        assert [header(), header()] == [None, None]
        execute_elsewhere("UPDATE models_app_evaluation SET temperature = 1, unsure_below = 1")
        wait_until(lambda: header() == "true", seconds=row_cache.TRUST_SECONDS)


def test_the_progress_of_jobs_and_the_use_of_tokens_drop_nothing(asked, users, django_assert_num_queries):
    headers = token_header(users["ada"])
    with opened_cache():
        asked(headers), asked(headers)
        execute_elsewhere("UPDATE models_app_trainedmodel SET progress = 0.5, heartbeat_at = now()")
        execute_elsewhere("UPDATE datasets_dataset SET progress = 0.5")
        execute_elsewhere("UPDATE accounts_accesstoken SET last_used_at = now()")
        with django_assert_num_queries(0):
            assert asked(headers)[0] == 200


def test_every_column_that_inference_reads_has_its_notification():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT event_object_table, event_object_column FROM information_schema.triggered_update_columns"
            " WHERE trigger_name = 'digits_rows_changed'"
        )
        reported = set(cursor.fetchall())
    read = {("datasets_dataset", column) for column in services.OF_DATASET}
    read |= {("models_app_evaluation", column) for column in ("temperature", "unsure_below", "epoch", "split")}
    read |= {("models_app_trainedmodel", column) for column in ("name", "owner", "dataset_id", "status")}
    assert read - reported == set()


# --- changes by this process -----------------------------------------------------------------------------------------
@pytest.fixture
def deaf_cache(users):
    with opened_cache(Deaf) as cache:
        yield cache


def test_a_model_that_this_process_deletes_is_gone_with_the_response(deaf_cache, asked, credentials, users, model):
    ada, ben = credentials("ada"), credentials("ben")
    assert [asked(ben)[0] for _ in range(2)] == [200, 200]
    assert Client().delete(f"/models/{model.pk}.json", headers=ada).status_code == 200
    assert asked(ben)[0] == 404


def test_a_model_that_is_no_longer_shared_is_hidden_with_the_response(deaf_cache, asked, credentials, model):
    ada, ben = credentials("ada"), credentials("ben")
    assert [asked(ben)[0] for _ in range(2)] == [200, 200]
    change = {"data": "shared_with=", "content_type": "application/x-www-form-urlencoded", "headers": ada}
    assert Client().put(f"/models/{model.pk}.json", **change).status_code == 200
    assert asked(ben)[0] == 404


def test_a_session_ends_with_the_response_to_its_logout(deaf_cache, asked, users):
    ben = session_header(users["ben"])
    assert [asked(ben)[0] for _ in range(2)] == [200, 200]
    assert Client().post("/logout.json", headers=ben).status_code == 302
    assert asked(ben)[0] == 401


def test_a_token_that_the_admin_deletes_is_refused_with_the_response(deaf_cache, asked, users):
    ben = token_header(users["ben"])
    assert [asked(ben)[0] for _ in range(2)] == [200, 200]
    admin = Client()
    admin.force_login(make_account("root", is_staff=True, is_superuser=True))
    token = users["ben"].access_tokens.get()
    assert admin.post(f"/admin/accounts/accesstoken/{token.pk}/delete/", {"post": "yes"}).status_code == 302
    assert asked(ben)[0] == 401


def test_a_user_that_one_login_backend_accepts_is_not_cached_for_another(users):
    """Django's backend refuses a deactivated user; that of OpenID Connect does not."""
    User.objects.filter(pk=users["ada"].pk).update(is_active=False)
    with opened_cache():
        assert OidcBackend().get_user(users["ada"].pk) == users["ada"]
        assert ThrottledBackend().get_user(users["ada"].pk) is None
