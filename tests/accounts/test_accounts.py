"""Accounts and groups: permissions, login limits, the audit log, and checks of the settings."""

from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.checks import run_checks

from datasets.models import Dataset
from digits_project.accounts import login_throttling
from digits_project.accounts.models import AuditEntry
from digits_project.jobs.models import Device, Status
from tests.support.api_requests import PASSWORD, make_account, token_header

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("auth_required")]
CREATE = "/datasets/images/classification.json"
CLASSIFY = "/models/images/classification/classify_one.json"


@pytest.fixture
def status_of(client):
    """A function that sends a JSON request with a token of a user and returns the status code."""

    def status_of(user, method, path, **fields):
        json_request = {"QUERY_STRING": "", "content_type": "application/json", "headers": token_header(user)}
        return client.generic(method, path, **json_request, **fields).status_code

    return status_of


# --- without an account ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method, path", [
    ("GET", "/index.json"), ("GET", "/"), ("POST", CREATE), ("POST", CLASSIFY), ("GET", "/api/schema"),
    ("GET", "/datasets/20260101-000000-0000.json"), ("GET", "/models/20260101-000000-0000/status"),
    ("POST", "/jobs/20260101-000000-0000/abort"), ("DELETE", "/jobs/20260101-000000-0000"),
    ("GET", "/models/20260101-000000-0000/download.zip"), ("GET", "/autocomplete/path?query=/"),
])  # fmt: skip
def test_every_route_returns_401_without_an_account(client, method, path):
    assert client.generic(method, path).status_code == 401


def test_an_account_without_a_group_gets_403_and_the_reason(client):
    response = client.get("/index.json", headers=token_header(make_account("new")))
    assert response.status_code == 403
    assert "none of the groups viewer, user, operator" in response.json()["error"]["description"]


# --- groups ----------------------------------------------------------------------------------------------------------
def test_a_viewer_can_read_and_classify_but_change_nothing(status_of, built_dataset):
    viewer = make_account("vera", "viewer")
    assert status_of(viewer, "GET", "/index.json") == 200
    assert status_of(viewer, "GET", f"/datasets/{built_dataset.pk}.json") == 200
    assert status_of(viewer, "POST", CLASSIFY, data='{"job_id": "20260101-000000-0000"}') == 404  # permitted
    assert status_of(viewer, "POST", CREATE, data="{}") == 403
    assert status_of(viewer, "GET", "/autocomplete/path") == 403
    for method, path in (("DELETE", ""), ("PUT", ""), ("POST", "/abort"), ("POST", "/resume")):
        assert status_of(viewer, method, f"/jobs/{built_dataset.pk}{path}", data='{"job_name": "mine"}') == 403


def test_a_user_can_create_jobs_and_change_only_their_own(client, status_of, dataset_form, make_dataset):
    user, other_dataset = make_account("ugo", "user"), make_dataset()
    response = client.post(CREATE, dataset_form, headers=token_header(user))
    own_id = response.json()["job_id"]
    assert Dataset.objects.get(pk=own_id).owner == "ugo"
    assert status_of(user, "PUT", f"/datasets/{own_id}", data='{"job_name": "mine"}') == 200
    for method, path in (("DELETE", ""), ("PUT", ""), ("POST", "/abort"), ("POST", "/resume")):
        assert status_of(user, method, f"/datasets/{other_dataset.pk}{path}", data='{"job_name": "mine"}') == 403
    other_dataset.refresh_from_db()
    assert (other_dataset.name, other_dataset.status) == ("digits", Status.WAITING)
    assert status_of(user, "POST", f"/datasets/{own_id}/abort") == 200
    assert status_of(user, "POST", f"/jobs/{own_id}/resume") == 200
    assert status_of(user, "DELETE", f"/jobs/{own_id}") == 200


def test_an_operator_can_delete_a_job_of_another_account(status_of, make_dataset):
    other_dataset = make_dataset()
    assert status_of(make_account("olga", "operator"), "DELETE", f"/datasets/{other_dataset.pk}") == 200
    assert not Dataset.objects.exists()


def test_the_server_has_three_groups_and_operators_cannot_edit_the_audit_log():
    assert set(Group.objects.values_list("name", flat=True)) == {"viewer", "user", "operator"}
    permissions = set(Group.objects.get(name="operator").permissions.values_list("codename", flat=True))
    assert {"change_dataset", "delete_trainedmodel", "change_device", "view_auditentry"} <= permissions
    assert not {"delete_auditentry", "change_auditentry", "add_user", "change_user"} & permissions


# --- login and rate limits -------------------------------------------------------------------------------------------
def test_an_account_is_locked_after_too_many_wrong_passwords(client):
    make_account("ada", "user")
    for _ in range(login_throttling.MAX_BY_ACCOUNT):
        assert client.post("/login.json", {"username": "ada", "password": "wrong"}).status_code == 401
    response = client.post("/login.json", {"username": "ada", "password": PASSWORD})
    assert (response.status_code, response.headers["Retry-After"]) == (429, str(login_throttling.SECONDS))


def test_wrong_passwords_for_one_account_do_not_lock_another(client):
    make_account("ada", "user")
    make_account("bob", "user")
    for _ in range(login_throttling.MAX_BY_ACCOUNT):
        client.post("/login.json", {"username": "ada", "password": "wrong"})
    assert client.post("/login", {"username": "bob", "password": PASSWORD}).status_code == 302


def test_the_admin_login_is_locked_after_too_many_wrong_passwords(client):
    make_account("root", is_superuser=True, is_staff=True)
    for _ in range(login_throttling.MAX_BY_ACCOUNT):
        client.post("/admin/login/", {"username": "root", "password": "wrong"})
    assert client.post("/admin/login/", {"username": "root", "password": PASSWORD}).status_code == 429


def test_inference_requests_are_rate_limited(client, settings):
    settings.DIGITS_INFERENCE_RATE = 3
    headers = token_header(make_account("vera", "viewer"))
    statuses = [client.post(CLASSIFY, {"job_id": "x"}, headers=headers).status_code for _ in range(8)]
    assert statuses[:3] == [404] * 3
    assert 429 in statuses[3:]  # a new minute can begin during the test, and with it a new count


# --- the audit log ---------------------------------------------------------------------------------------------------
def test_the_audit_log_records_who_created_aborted_resumed_renamed_and_deleted_a_job(client, dataset_form):
    headers = token_header(make_account("ugo", "user"))
    AuditEntry.objects.all().delete()
    own_id = client.post(CREATE, dataset_form, headers=headers).json()["job_id"]
    client.post(f"/jobs/{own_id}/abort", headers=headers)
    client.post(f"/jobs/{own_id}/resume", headers=headers)
    client.put(f"/jobs/{own_id}", {"job_name": "new"}, content_type="application/json", headers=headers)
    client.delete(f"/jobs/{own_id}", headers=headers)
    entries = list(AuditEntry.objects.order_by("pk").values_list("actor", "address", "action"))
    actions = ("create", "abort", "resume", "edit", "abort", "delete")  # a waiting job is aborted before it is deleted
    assert entries == [("ugo", "127.0.0.1", action) for action in actions]
    assert all(own_id in subject for subject in AuditEntry.objects.values_list("subject", flat=True))


def test_the_audit_log_records_who_disabled_a_device(admin_client, cpu):
    admin_client.post(f"/admin/jobs/device/{cpu.pk}/change/", {})
    assert not Device.objects.get().enabled
    entry = AuditEntry.objects.get(action="change device")
    assert (entry.actor, entry.detail) == ("admin", "enabled: False")


def test_the_audit_log_records_successful_and_failed_logins(client):
    make_account("ada", "user")
    client.post("/login", {"username": "ada", "password": "wrong"})
    client.post("/login", {"username": "ada", "password": PASSWORD})
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "subject")) == [
        ("fail to log in", "ada"), ("log in", "ada"),
    ]  # fmt: skip


# --- unsafe settings -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("changes, number", [
    ({"ALLOWED_HOSTS": ["*"]}, "E001"),
    ({"DIGITS_AUTH": "open", "ALLOWED_HOSTS": ["127.0.0.1", "gpu7.example"]}, "E002"),
    ({"DIGITS_DATA_ROOTS": [Path("/")]}, "E003"),
    ({"DIGITS_DATA_ROOTS": [Path("/srv")], "DIGITS_HOME": Path("/srv/digits")}, "E004"),
])  # fmt: skip
def test_check_deploy_reports_settings_that_leave_the_server_open(settings, changes, number):
    for name, value in changes.items():
        setattr(settings, name, value)
    assert f"digits.{number}" in {error.id for error in run_checks(include_deployment_checks=True)}


def test_check_deploy_reports_a_secret_key_that_others_can_read(settings, home):
    settings.DIGITS_HOME = home
    (home / "secret_key").write_text("secret")
    (home / "secret_key").chmod(0o644)
    assert "digits.E005" in {error.id for error in run_checks(include_deployment_checks=True)}


# --- open servers and page headers -----------------------------------------------------------------------------------
@pytest.mark.parametrize("sender", [{"REMOTE_ADDR": "10.0.0.7"}, {"headers": {"X-Forwarded-For": "10.0.0.7"}}])
def test_an_open_server_accepts_only_requests_from_its_own_machine(client, settings, sender):
    settings.DIGITS_AUTH = "open"
    assert client.get("/index.json").status_code == 200
    assert client.get("/index.json", **sender).status_code == 403


def test_pages_cannot_load_anything_from_other_sites(client):
    headers = client.get("/admin/login/").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("DENY", "nosniff")
