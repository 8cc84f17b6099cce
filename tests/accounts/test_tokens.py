"""Access tokens: who makes them, what they allow, and how they end."""

import json
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from digits_project.accounts import tokens
from digits_project.accounts.models import AccessToken, AuditEntry
from tests.support.api_requests import make_account, token_header

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("auth_required")]
CREATE = "/datasets/images/classification.json"
CLASSIFY = "/models/images/classification/classify_one.json"


@pytest.mark.parametrize("secret", ["", "digits_wrong", "\x00", "a" * 10_000, "é"])
def test_an_unknown_token_gets_401(client, secret):
    assert client.get("/index.json", headers={"Authorization": f"Token {secret}"}).status_code == 401


def test_a_withdrawn_token_or_a_disabled_account_gets_401(client):
    user = make_account("ada", "user")
    headers = token_header(user)
    assert client.get("/index.json", headers=headers).status_code == 200
    user.is_active = False
    user.save()
    assert client.get("/index.json", headers=headers).status_code == 401
    user.is_active = True
    user.save()
    tokens.withdraw(AccessToken.objects.get())
    assert client.get("/index.json", headers=headers).status_code == 401


def test_the_database_does_not_contain_the_secret_of_a_token():
    _, secret = tokens.issue(make_account("ada"), "script")
    assert secret not in str(AccessToken.objects.values().get())
    assert secret.removeprefix(tokens.PREFIX) not in str(list(AuditEntry.objects.values()))


# --- the token command and the admin ---------------------------------------------------------------------------------
def test_the_token_command_makes_lists_and_withdraws_tokens(client, capsys):
    make_account("ada", "viewer")
    call_command("token", "make", "ada", "--name", "nightly")
    headers = {"Authorization": f"Token {capsys.readouterr().out.strip()}"}
    assert client.get("/index.json", headers=headers).status_code == 200
    call_command("token", "list")
    number, user, name, *_ = capsys.readouterr().out.strip().split("\t")
    assert (user, name) == ("ada", "nightly")
    call_command("token", "withdraw", number)
    assert client.get("/index.json", headers=headers).status_code == 401


def test_the_token_command_prints_json(capsys):
    make_account("ada", "viewer")
    call_command("token", "make", "ada", "--name", "nightly", "--json")
    created = json.loads(capsys.readouterr().out)
    assert created.pop("token").startswith(tokens.PREFIX)
    assert (created["user"], created["name"], created["last_used_at"]) == ("ada", "nightly", None)
    call_command("token", "--json", "list")
    assert json.loads(capsys.readouterr().out) == [created]
    call_command("token", "withdraw", created["number"], "--json")
    assert json.loads(capsys.readouterr().out) == created | {"withdrawn": True}
    call_command("token", "list", "--json")
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize("arguments", [("make", "nobody"), ("withdraw", "7")])
def test_the_token_command_fails_for_an_unknown_user_or_token(arguments):
    with pytest.raises(CommandError, match="There is no"):
        call_command("token", *arguments)


def test_the_admin_shows_the_secret_of_a_new_token_once(admin_client, admin_user, client):
    admin_client.post("/admin/accounts/accesstoken/add/", {"user": admin_user.pk, "name": "script", "scope": "all"})
    page = admin_client.get("/admin/accounts/accesstoken/").content.decode()
    secret = page.partition("<code>")[2].partition("</code>")[0]
    assert client.get("/index.json", headers={"Authorization": f"Token {secret}"}).status_code == 200
    assert secret not in admin_client.get("/admin/accounts/accesstoken/").content.decode()


def test_an_operator_can_make_tokens_only_for_their_own_account(client, admin_user):
    operator = make_account("olga", "operator", is_staff=True)
    client.force_login(operator)
    client.post("/admin/accounts/accesstoken/add/", {"user": admin_user.pk, "name": "theft", "scope": "all"})
    assert not AccessToken.objects.exists()
    client.post("/admin/accounts/accesstoken/add/", {"user": operator.pk, "name": "own", "scope": "all"})
    assert AccessToken.objects.get().user == operator


# --- scope and expiry ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "scope, statuses", [("read", [200, 403, 403]), ("infer", [200, 404, 403]), ("all", [200, 404, 400])]
)
def test_the_scope_of_a_token_limits_what_its_user_can_do(client, scope, statuses):
    headers = token_header(make_account("ugo", "user"), scope=scope)
    responses = [
        client.get("/index.json", headers=headers),
        client.post(CLASSIFY, {"job_id": "20260101-000000-0000"}, headers=headers),
        client.post(CREATE, {}, headers=headers),
    ]
    assert [response.status_code for response in responses] == statuses


@pytest.mark.parametrize("method, path", [
    ("DELETE", "/jobs/{}"), ("PUT", "/jobs/{}"), ("POST", "/jobs/{}/abort"), ("POST", "/jobs/{}/resume"),
])  # fmt: skip
@pytest.mark.parametrize("scope", ["read", "infer"])
def test_an_operators_token_cannot_change_a_job_beyond_its_scope(client, make_dataset, scope, method, path):
    headers = token_header(make_account("olga", "operator"), scope=scope)
    response = client.generic(method, path.format(make_dataset().pk), headers=headers | {"Accept": "application/json"})
    reason = f"needs a token with the scope all; this token has the scope {scope}"
    assert response.status_code == 403
    assert reason in response.json()["error"]["description"]


def test_the_scope_of_a_token_adds_no_permissions_to_its_user(client):
    assert client.post(CREATE, {}, headers=token_header(make_account("vera", "viewer"), scope="all")).status_code == 403


def test_an_expired_token_gets_401_and_the_reason(client):
    headers = token_header(make_account("ada", "user"), expires_at=timezone.now() + timedelta(hours=1))
    assert client.get("/index.json", headers=headers).status_code == 200
    AccessToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    response = client.get("/index.json", headers=headers)
    assert response.status_code == 401
    assert "This token expired at" in response.json()["error"]["description"]


def test_a_token_without_limits_has_all_scopes_and_never_expires(client):
    token, _ = tokens.issue(make_account("ada", "user"), "old")
    assert (token.scope, token.expires_at) == ("all", None)


def test_the_token_command_sets_scope_and_expiry(capsys):
    make_account("ada", "viewer")
    call_command("token", "make", "ada", "--scope", "infer", "--expires", "30d")
    token = AccessToken.objects.get()
    assert token.scope == "infer"
    assert timedelta(days=29) < token.expires_at - timezone.now() <= timedelta(days=30)
    capsys.readouterr()
    call_command("token", "list")
    times = f"{token.created_at:%Y-%m-%d %H:%M}\texpires {token.expires_at:%Y-%m-%d %H:%M}"
    assert f"infer\t{times}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [("--expires", "soon"), ("--expires", "2001-01-01"), ("--scope", "root")])
def test_the_token_command_rejects_an_invalid_expiry_or_scope(arguments):
    make_account("ada", "viewer")
    with pytest.raises(CommandError):
        call_command("token", "make", "ada", *arguments)
    assert not AccessToken.objects.exists()


def test_the_admin_sets_scope_and_expiry_of_a_token(admin_client, admin_user):
    form = {"user": admin_user.pk, "name": "script", "scope": "read"}
    past = {"expires_at_0": "2001-01-01", "expires_at_1": "00:00:00"}
    future = {"expires_at_0": "2999-01-01", "expires_at_1": "00:00:00"}
    assert "in the past" in admin_client.post("/admin/accounts/accesstoken/add/", form | past).content.decode()
    admin_client.post("/admin/accounts/accesstoken/add/", form | future)
    token = AccessToken.objects.get()
    assert (token.scope, token.expires_at.year) == ("read", 2999)
