"""What each group of accounts may do, with a session and with a token, and what nobody may."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import Group
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from datasets.models import Dataset
from digits_project.accounts import guard, tokens
from digits_project.accounts.models import AccessToken, AuditEntry
from digits_project.jobs.models import Device, Status
from tests.support.accounts import PASSWORD, account, token_of

pytestmark = pytest.mark.django_db
CREATE = "/datasets/images/classification.json"
CLASSIFY = "/models/images/classification/classify_one.json"


@pytest.fixture(autouse=True)
def required(settings, digits_folder):
    settings.DIGITS_AUTH = "required"
    settings.DIGITS_DATA_ROOTS = [digits_folder]


@pytest.fixture
def ask(client):
    """The status of a request with a token of that user."""

    def ask(user, method, path, **fields):
        return client.generic(
            method,
            path,
            **{"QUERY_STRING": "", "content_type": "application/json", "headers": token_of(user)},
            **fields,
        ).status_code

    return ask


@pytest.fixture
def form(digits_folder):
    return {"dataset_name": "digits", "folder_train": str(digits_folder)}


# --- without an account ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method, path", [
    ("GET", "/index.json"), ("GET", "/"), ("POST", CREATE), ("POST", CLASSIFY), ("GET", "/api/schema"),
    ("GET", "/datasets/20260101-000000-0000.json"), ("GET", "/models/20260101-000000-0000/status"),
    ("POST", "/jobs/20260101-000000-0000/abort"), ("DELETE", "/jobs/20260101-000000-0000"),
    ("GET", "/models/20260101-000000-0000/download.zip"), ("GET", "/autocomplete/path?query=/"),
])  # fmt: skip
def test_without_an_account_every_route_is_a_401(client, method, path):
    assert client.generic(method, path).status_code == 401


@pytest.mark.parametrize("secret", ["", "digits_wrong", "\x00", "a" * 10_000, "é"])
def test_a_token_that_was_never_made_is_a_401(client, secret):
    assert client.get("/index.json", headers={"Authorization": f"Token {secret}"}).status_code == 401


def test_a_withdrawn_token_and_one_of_a_switched_off_account_are_a_401(client):
    user = account("ada", "user")
    headers = token_of(user)
    assert client.get("/index.json", headers=headers).status_code == 200
    user.is_active = False
    user.save()
    assert client.get("/index.json", headers=headers).status_code == 401
    user.is_active = True
    user.save()
    tokens.withdraw(AccessToken.objects.get())
    assert client.get("/index.json", headers=headers).status_code == 401


def test_the_secret_of_a_token_is_nowhere_in_the_database():
    _, secret = tokens.issue(account("ada"), "script")
    assert secret not in str(AccessToken.objects.values().get())
    assert secret.removeprefix(tokens.PREFIX) not in str(list(AuditEntry.objects.values()))


def test_an_account_without_a_group_may_do_nothing_and_is_told_why(client):
    answer = client.get("/index.json", headers=token_of(account("new")))
    assert answer.status_code == 403
    assert "none of the groups viewer, user, operator" in answer.json()["error"]["description"]


# --- the groups -----------------------------------------------------------------------------------------------------
def test_a_viewer_reads_and_classifies_and_changes_nothing(ask, built_dataset):
    viewer = account("vera", "viewer")
    assert ask(viewer, "GET", "/index.json") == 200
    assert ask(viewer, "GET", f"/datasets/{built_dataset.pk}.json") == 200
    assert ask(viewer, "POST", CLASSIFY, data='{"job_id": "20260101-000000-0000"}') == 404  # past the door
    assert ask(viewer, "POST", CREATE, data="{}") == 403
    assert ask(viewer, "GET", "/autocomplete/path") == 403
    for method, path in (("DELETE", ""), ("PUT", ""), ("POST", "/abort"), ("POST", "/resume")):
        assert ask(viewer, method, f"/jobs/{built_dataset.pk}{path}", data='{"job_name": "mine"}') == 403


def test_a_user_creates_and_changes_what_is_his_own_only(client, ask, form, make_dataset):
    user, hers = account("ugo", "user"), make_dataset()
    answer = client.post(CREATE, form, headers=token_of(user))
    mine = answer.json()["job_id"]
    assert Dataset.objects.get(pk=mine).owner == "ugo"
    assert ask(user, "PUT", f"/datasets/{mine}", data='{"job_name": "mine"}') == 200
    for method, path in (("DELETE", ""), ("PUT", ""), ("POST", "/abort"), ("POST", "/resume")):
        assert ask(user, method, f"/datasets/{hers.pk}{path}", data='{"job_name": "mine"}') == 403
    hers.refresh_from_db()
    assert (hers.name, hers.status) == ("digits", Status.WAITING)
    assert ask(user, "POST", f"/datasets/{mine}/abort") == 200
    assert ask(user, "POST", f"/jobs/{mine}/resume") == 200
    assert ask(user, "DELETE", f"/jobs/{mine}") == 200


def test_an_operator_changes_anybodys(ask, make_dataset):
    hers = make_dataset()
    assert ask(account("olga", "operator"), "DELETE", f"/datasets/{hers.pk}") == 200
    assert not Dataset.objects.exists()


def test_the_groups_are_there_and_operators_have_the_admins_pages_but_can_not_rewrite_the_log():
    assert set(Group.objects.values_list("name", flat=True)) == {"viewer", "user", "operator"}
    held = set(Group.objects.get(name="operator").permissions.values_list("codename", flat=True))
    assert {"change_dataset", "delete_trainedmodel", "change_device", "view_auditentry"} <= held
    assert not {"delete_auditentry", "change_auditentry", "add_user", "change_user"} & held


# --- logging in -----------------------------------------------------------------------------------------------------
def test_passwords_can_not_be_tried_at_will(client):
    account("ada", "user")
    for _ in range(guard.MAX_BY_ACCOUNT):
        assert client.post("/login.json", {"username": "ada", "password": "wrong"}).status_code == 401
    answer = client.post("/login.json", {"username": "ada", "password": PASSWORD})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, str(guard.SECONDS))


def test_who_tries_one_account_too_often_still_gets_into_another(client):
    account("ada", "user")
    account("bob", "user")
    for _ in range(guard.MAX_BY_ACCOUNT):
        client.post("/login.json", {"username": "ada", "password": "wrong"})
    assert client.post("/login", {"username": "bob", "password": PASSWORD}).status_code == 302


def test_the_admins_own_login_is_guarded_too(client):
    account("root", is_superuser=True, is_staff=True)
    for _ in range(guard.MAX_BY_ACCOUNT):
        client.post("/admin/login/", {"username": "root", "password": "wrong"})
    assert client.post("/admin/login/", {"username": "root", "password": PASSWORD}).status_code == 429


def test_inference_has_a_rate(client, settings):
    settings.DIGITS_INFERENCE_RATE = 3
    headers = token_of(account("vera", "viewer"))
    statuses = [client.post(CLASSIFY, {"job_id": "x"}, headers=headers).status_code for _ in range(8)]
    assert statuses[:3] == [404] * 3
    assert 429 in statuses[3:]  # a minute may begin in between


# --- the audit log --------------------------------------------------------------------------------------------------
def test_who_created_aborted_resumed_renamed_and_deleted_is_noted(client, form):
    headers = token_of(account("ugo", "user"))
    AuditEntry.objects.all().delete()
    mine = client.post(CREATE, form, headers=headers).json()["job_id"]
    client.post(f"/jobs/{mine}/abort", headers=headers)
    client.post(f"/jobs/{mine}/resume", headers=headers)
    client.put(f"/jobs/{mine}", {"job_name": "new"}, content_type="application/json", headers=headers)
    client.delete(f"/jobs/{mine}", headers=headers)
    entries = list(AuditEntry.objects.order_by("pk").values_list("actor", "address", "action"))
    actions = ("create", "abort", "resume", "edit", "abort", "delete")  # what waits is aborted before it is deleted
    assert entries == [("ugo", "127.0.0.1", action) for action in actions]
    assert all(mine in subject for subject in AuditEntry.objects.values_list("subject", flat=True))


def test_a_device_that_was_switched_off_is_noted(admin_client, cpu):
    admin_client.post(f"/admin/jobs/device/{cpu.pk}/change/", {})
    assert not Device.objects.get().enabled
    entry = AuditEntry.objects.get(action="change device")
    assert (entry.actor, entry.detail) == ("admin", "enabled: False")


def test_logins_are_noted_the_failed_ones_too(client):
    account("ada", "user")
    client.post("/login", {"username": "ada", "password": "wrong"})
    client.post("/login", {"username": "ada", "password": PASSWORD})
    assert list(AuditEntry.objects.order_by("pk").values_list("action", "subject")) == [
        ("fail to log in", "ada"), ("log in", "ada"),
    ]  # fmt: skip


# --- tokens, by command and in the admin ----------------------------------------------------------------------------
def test_a_command_makes_lists_and_withdraws_tokens(client, capsys):
    account("ada", "viewer")
    call_command("token", "make", "ada", "--name", "nightly")
    headers = {"Authorization": f"Token {capsys.readouterr().out.strip()}"}
    assert client.get("/index.json", headers=headers).status_code == 200
    call_command("token", "list")
    number, user, name, *_ = capsys.readouterr().out.strip().split("\t")
    assert (user, name) == ("ada", "nightly")
    call_command("token", "withdraw", number)
    assert client.get("/index.json", headers=headers).status_code == 401


def test_a_command_reports_tokens_in_json_too(capsys):
    account("ada", "viewer")
    call_command("token", "make", "ada", "--name", "nightly", "--json")
    made = json.loads(capsys.readouterr().out)
    assert made.pop("token").startswith(tokens.PREFIX)
    assert (made["user"], made["name"], made["last_used_at"]) == ("ada", "nightly", None)
    call_command("token", "--json", "list")
    assert json.loads(capsys.readouterr().out) == [made]
    call_command("token", "withdraw", made["number"], "--json")
    assert json.loads(capsys.readouterr().out) == made | {"withdrawn": True}
    call_command("token", "list", "--json")
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("words", [("make", "nobody"), ("withdraw", "7")])
def test_a_command_about_what_is_not_there_says_so(words):
    with pytest.raises(CommandError, match="There is no"):
        call_command("token", *words)


def test_the_admin_shows_a_new_tokens_secret_once(admin_client, admin_user, client):
    admin_client.post("/admin/accounts/accesstoken/add/", {"user": admin_user.pk, "name": "script", "scope": "all"})
    page = admin_client.get("/admin/accounts/accesstoken/").content.decode()
    secret = page.partition("<code>")[2].partition("</code>")[0]
    assert client.get("/index.json", headers={"Authorization": f"Token {secret}"}).status_code == 200
    assert secret not in admin_client.get("/admin/accounts/accesstoken/").content.decode()


def test_an_operator_can_not_make_himself_a_superusers_token(client, admin_user):
    operator = account("olga", "operator", is_staff=True)
    client.force_login(operator)
    client.post("/admin/accounts/accesstoken/add/", {"user": admin_user.pk, "name": "theft", "scope": "all"})
    assert not AccessToken.objects.exists()
    client.post("/admin/accounts/accesstoken/add/", {"user": operator.pk, "name": "own", "scope": "all"})
    assert AccessToken.objects.get().user == operator


# --- what a token is good for ---------------------------------------------------------------------------------------
def bearer(user, **limits):
    return {"Authorization": f"Token {tokens.issue(user, 'script', **limits)[1]}"}


@pytest.mark.parametrize(
    "scope, statuses", [("read", [200, 403, 403]), ("infer", [200, 404, 403]), ("all", [200, 404, 400])]
)
def test_a_token_lets_its_user_do_what_its_scope_says(client, scope, statuses):
    headers = bearer(account("ugo", "user"), scope=scope)
    answers = [
        client.get("/index.json", headers=headers),
        client.post(CLASSIFY, {"job_id": "20260101-000000-0000"}, headers=headers),
        client.post(CREATE, {}, headers=headers),
    ]
    assert [answer.status_code for answer in answers] == statuses


@pytest.mark.parametrize("method, path", [
    ("DELETE", "/jobs/{}"), ("PUT", "/jobs/{}"), ("POST", "/jobs/{}/abort"), ("POST", "/jobs/{}/resume"),
])  # fmt: skip
@pytest.mark.parametrize("scope", ["read", "infer"])
def test_not_even_an_operators_token_changes_a_job_beyond_its_scope(client, make_dataset, scope, method, path):
    headers = bearer(account("olga", "operator"), scope=scope)
    answer = client.generic(method, path.format(make_dataset().pk), headers=headers | {"Accept": "application/json"})
    assert answer.status_code == 403
    assert f"takes a token of the scope all; the scope of this one is {scope}" in answer.json()["error"]["description"]


def test_the_scope_of_a_token_adds_nothing_to_what_its_user_may(client):
    assert client.post(CREATE, {}, headers=bearer(account("vera", "viewer"), scope="all")).status_code == 403


def test_a_token_that_has_expired_is_a_401_that_says_so(client):
    headers = bearer(account("ada", "user"), expires_at=timezone.now() + timedelta(hours=1))
    assert client.get("/index.json", headers=headers).status_code == 200
    AccessToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    answer = client.get("/index.json", headers=headers)
    assert answer.status_code == 401
    assert "This token expired at" in answer.json()["error"]["description"]


def test_a_token_of_before_is_good_for_all_and_for_ever(client):
    token, _ = tokens.issue(account("ada", "user"), "old")
    assert (token.scope, token.expires_at) == ("all", None)


def test_the_command_sets_scope_and_expiry(capsys):
    account("ada", "viewer")
    call_command("token", "make", "ada", "--scope", "infer", "--expires", "30d")
    token = AccessToken.objects.get()
    assert token.scope == "infer"
    assert timedelta(days=29) < token.expires_at - timezone.now() <= timedelta(days=30)
    capsys.readouterr()
    call_command("token", "list")
    assert (
        f"infer\t{token.created_at:%Y-%m-%d %H:%M}\texpires {token.expires_at:%Y-%m-%d %H:%M}"
        in capsys.readouterr().out
    )


@pytest.mark.parametrize("words", [("--expires", "soon"), ("--expires", "2001-01-01"), ("--scope", "root")])
def test_the_command_refuses_an_expiry_or_a_scope_that_is_none(words):
    account("ada", "viewer")
    with pytest.raises(CommandError):
        call_command("token", "make", "ada", *words)
    assert not AccessToken.objects.exists()


def test_the_admin_sets_scope_and_expiry(admin_client, admin_user):
    form = {"user": admin_user.pk, "name": "script", "scope": "read"}
    past = {"expires_at_0": "2001-01-01", "expires_at_1": "00:00:00"}
    assert "in the past" in admin_client.post("/admin/accounts/accesstoken/add/", form | past).content.decode()
    admin_client.post(
        "/admin/accounts/accesstoken/add/", form | {"expires_at_0": "2999-01-01", "expires_at_1": "00:00:00"}
    )
    token = AccessToken.objects.get()
    assert (token.scope, token.expires_at.year) == ("read", 2999)


# --- unsafe settings ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("changes, number", [
    ({"ALLOWED_HOSTS": ["*"]}, "E001"),
    ({"DIGITS_AUTH": "open", "ALLOWED_HOSTS": ["127.0.0.1", "gpu7.example"]}, "E002"),
    ({"DIGITS_DATA_ROOTS": [Path("/")]}, "E003"),
    ({"DIGITS_DATA_ROOTS": [Path("/srv")], "DIGITS_HOME": Path("/srv/digits")}, "E004"),
])  # fmt: skip
def test_check_deploy_fails_on_what_would_leave_the_server_open(settings, changes, number):
    for name, value in changes.items():
        setattr(settings, name, value)
    assert f"digits.{number}" in {error.id for error in run_checks(include_deployment_checks=True)}


def test_check_deploy_finds_a_secret_that_others_can_read(settings, home):
    settings.DIGITS_HOME = home
    (home / "secret_key").write_text("secret")
    (home / "secret_key").chmod(0o644)
    assert "digits.E005" in {error.id for error in run_checks(include_deployment_checks=True)}


# --- an open server -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("sender", [{"REMOTE_ADDR": "10.0.0.7"}, {"headers": {"X-Forwarded-For": "10.0.0.7"}}])
def test_an_open_server_is_open_to_its_own_machine_only(client, settings, sender):
    settings.DIGITS_AUTH = "open"
    assert client.get("/index.json").status_code == 200
    assert client.get("/index.json", **sender).status_code == 403


def test_pages_may_load_nothing_from_elsewhere(client):
    headers = client.get("/admin/login/").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert (headers["X-Frame-Options"], headers["X-Content-Type-Options"]) == ("DENY", "nosniff")
