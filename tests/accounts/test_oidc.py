"""Login at an OpenID Connect provider, which the tests start."""

import socket

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.contrib.auth.models import Group, User
from django.core.exceptions import ImproperlyConfigured

from digits_project import environment
from digits_project.accounts.models import AuditEntry, OidcIdentity
from tests.support.api_requests import PASSWORD, make_account
from tests.support.oidc_provider import CLIENT, SECRET, Provider

pytestmark = pytest.mark.django_db
HTML = {"Accept": "text/html"}


@pytest.fixture
def provider(settings):
    """A running provider, and a server that requires accounts and maps three of the provider's groups."""
    with Provider() as running:
        settings.DIGITS_AUTH = "required"
        settings.DIGITS_OIDC_ISSUER = running.issuer
        settings.DIGITS_OIDC_NAME = "Example University"
        settings.DIGITS_OIDC_GROUPS = [("staff", "user"), ("it", "operator"), ("vision-lab", "vision")]
        settings.OIDC_RP_CLIENT_ID, settings.OIDC_RP_CLIENT_SECRET = CLIENT, SECRET
        settings.AUTHENTICATION_BACKENDS = [
            *settings.AUTHENTICATION_BACKENDS,
            "digits_project.accounts.oidc.OidcBackend",
        ]
        yield running


@pytest.fixture
def log_in(client, provider):
    """A function that logs in at the provider and returns the response of the callback URL."""

    def log_in(**query):
        to_provider = client.get("/oidc/login", query)
        assert to_provider["Location"].startswith(f"{provider.issuer}/authorize?")
        return client.get(provider.log_in(to_provider["Location"]))

    return log_in


def login_error(client, response):
    """The login page after a failed login: the response redirects there, and nobody is logged in."""
    assert (response.status_code, response["Location"]) == (302, "/login")
    assert client.get("/index.json").status_code == 401
    return client.get("/login", headers=HTML).content.decode()


def groups(name):
    return sorted(User.objects.get(username=name).groups.values_list("name", flat=True))


# --- successful logins -----------------------------------------------------------------------------------------------
def test_a_new_user_of_the_provider_gets_an_account_with_the_mapped_groups(client, provider, log_in):
    provider.claims["groups"] = ["staff", "vision-lab", "chess"]
    response = log_in()
    assert (response.status_code, response["Location"]) == (302, "/")
    assert client.get("/index.json").status_code == 200
    ada = User.objects.get(username="ada")
    assert (groups("ada"), ada.is_staff, ada.has_usable_password()) == (["user", "vision"], False, False)
    assert AuditEntry.objects.filter(action="log in", subject="ada").exists()


def test_a_returning_user_keeps_the_account_under_a_changed_name(client, provider, log_in):
    provider.claims["groups"] = ["staff"]
    log_in()
    client.logout()
    provider.claims |= {"preferred_username": "countess", "email": "lovelace@example.org"}
    log_in()
    assert client.get("/account.json").json()["name"] == "ada"
    assert User.objects.count() == 1


def test_each_login_updates_the_mapped_groups_and_keeps_the_others(client, provider, log_in):
    provider.claims["groups"] = ["it"]
    log_in()
    ada = User.objects.get(username="ada")
    assert (groups("ada"), ada.is_staff) == (["operator"], True)
    assert client.get("/admin/").status_code == 200
    ada.groups.add(Group.objects.create(name="of this server"))
    provider.claims["groups"] = ["staff"]
    log_in()
    ada.refresh_from_db()
    assert (groups("ada"), ada.is_staff) == (["of this server", "user"], False)


def test_a_user_without_a_mapped_group_gets_403_and_the_reason(client, provider, log_in):
    log_in()
    response = client.get("/index.json")
    assert response.status_code == 403
    assert "none of the groups viewer, user, operator" in response.json()["error"]["description"]


def test_the_groups_claim_can_have_another_name_and_be_a_single_word(provider, log_in, settings):
    settings.DIGITS_OIDC_GROUPS_CLAIM = "role"
    provider.claims |= {"groups": ["it"], "role": "staff"}
    log_in()
    assert groups("ada") == ["user"]


@pytest.mark.parametrize("claimed", [7, None, True], ids=str)
def test_a_claim_that_is_neither_a_name_nor_a_list_gives_no_group(provider, log_in, claimed):
    provider.claims["groups"] = claimed
    assert log_in().status_code == 302
    assert groups("ada") == []


@pytest.mark.parametrize("page, leads_to", [("/admin/", "/admin/"), ("https://evil.example/", "/"), ("", "/")])
def test_login_redirects_to_the_requested_page_of_this_server_only(log_in, page, leads_to):
    assert log_in(next=page)["Location"] == leads_to


def test_the_login_page_offers_the_provider_and_still_accepts_passwords(client, provider):
    make_account("root", "operator")
    page = client.get("/login", {"next": "/admin/"}, headers=HTML).content.decode()
    assert 'href="/oidc/login?next=/admin/">Log in with Example University</a>' in page
    assert client.post("/login", {"username": "root", "password": PASSWORD}).status_code == 302
    assert client.get("/index.json").status_code == 200


# --- rejected logins -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["root", "ROOT"])
def test_a_user_of_the_provider_cannot_take_over_a_local_account_by_name_or_email(client, provider, log_in, name):
    make_account("root", is_superuser=True, email="root@example.org")
    provider.claims |= {"preferred_username": name, "email": "root@example.org", "groups": ["it"]}
    page = login_error(client, log_in())
    assert f"An account {name} exists already" in page
    assert not OidcIdentity.objects.exists()


def test_a_superuser_can_connect_an_account_with_an_identity(client, admin_client, provider, log_in):
    bob = make_account("bob", "viewer")
    form = {"user": bob.pk, "issuer": provider.issuer, "subject": "4711"}
    assert admin_client.post("/admin/accounts/oidcidentity/add/", form).status_code == 302
    log_in()
    assert client.get("/account.json").json()["name"] == "bob"


def test_an_operator_cannot_connect_an_account_with_an_identity(client, provider):
    olga = make_account("olga", "operator", is_staff=True)
    client.force_login(olga, "django.contrib.auth.backends.ModelBackend")
    assert client.get("/admin/accounts/oidcidentity/add/").status_code in (302, 403)


def test_a_disabled_account_cannot_log_in_at_the_provider(client, provider, log_in):
    provider.claims["groups"] = ["staff"]
    log_in()
    client.logout()
    User.objects.update(is_active=False)
    assert "could not be logged in at Example University" in login_error(client, log_in())


@pytest.mark.parametrize("wrong", [
    {"aud": "another client"}, {"iss": "https://elsewhere.example"}, {"nonce": "of another login"}, {"exp": 1},
    {"sub": "0815"}, {"aud": None},
])  # fmt: skip
def test_an_id_token_issued_for_another_login_is_rejected(client, provider, log_in, wrong):
    provider.token = wrong
    assert "could not be logged in" in login_error(client, log_in())
    assert not User.objects.exists()


def test_an_id_token_signed_with_another_key_is_rejected(client, provider, log_in):
    provider.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert "could not be logged in" in login_error(client, log_in())


@pytest.mark.parametrize("name", ["two words", "", "a;b", "x" * 151])
def test_a_name_that_is_invalid_for_an_account_is_rejected(client, provider, log_in, name):
    provider.claims |= {"preferred_username": name, "email": ""}
    assert "be the name of an account here" in login_error(client, log_in())


def test_a_user_who_cancels_at_the_provider_is_not_logged_in(client, provider, log_in):
    provider.error = "access_denied"
    assert "could not be logged in" in login_error(client, log_in())


@pytest.mark.parametrize("query", [{"code": "x", "state": "guessed"}, {"code": "x"}, {}, {"error": "x", "state": "y"}])
def test_a_callback_without_a_matching_login_is_rejected(client, provider, query):
    client.get("/oidc/login")
    assert "could not be logged in" in login_error(client, client.get("/oidc/callback", query))


def test_an_authorization_code_works_once(client, provider):
    back = provider.log_in(client.get("/oidc/login")["Location"])
    client.get(back)
    client.logout()
    assert "could not be logged in" in login_error(client, client.get(back))


def test_an_unreachable_provider_is_reported_on_the_login_page(client, provider, settings):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        settings.DIGITS_OIDC_ISSUER = f"http://127.0.0.1:{unused.getsockname()[1]}"
        response = client.get("/oidc/login")
    assert "could not be logged in" in login_error(client, response)


def test_a_discovery_document_of_another_issuer_is_rejected(client, provider, settings):
    settings.DIGITS_OIDC_ISSUER = provider.issuer.replace("127.0.0.1", "localhost")
    assert "could not be logged in" in login_error(client, client.get("/oidc/login"))


# --- settings --------------------------------------------------------------------------------------------------------
def test_the_oidc_routes_return_404_without_a_provider(client, settings):
    settings.DIGITS_AUTH = "required"
    assert client.get("/oidc/login").status_code == 404
    assert client.get("/oidc/callback").status_code == 404
    assert "oidc" not in client.get("/login", headers=HTML).content.decode()


@pytest.mark.parametrize("value", ["http://login.example.org", "login.example.org", "ftp://127.0.0.1", "https://"])
def test_the_url_of_the_provider_must_use_https(monkeypatch, value):
    monkeypatch.setenv("DIGITS_OIDC_CLIENT_ID", CLIENT)
    monkeypatch.setenv("DIGITS_OIDC_ISSUER", value)
    with pytest.raises(ImproperlyConfigured, match="begins with https://"):
        environment.issuer("DIGITS_OIDC_ISSUER")


def test_a_provider_without_a_client_id_is_a_configuration_error(monkeypatch):
    monkeypatch.setenv("DIGITS_OIDC_ISSUER", "https://login.example.org/")
    monkeypatch.delenv("DIGITS_OIDC_CLIENT_ID", raising=False)
    with pytest.raises(ImproperlyConfigured, match="DIGITS_OIDC_CLIENT_ID is not"):
        environment.issuer("DIGITS_OIDC_ISSUER")


def test_the_group_mapping_is_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("GROUPS", "staff=user, /lab/a=b=vision")
    assert environment.mapping("GROUPS") == [("staff", "user"), ("/lab/a=b", "vision")]
    monkeypatch.setenv("GROUPS", "staff")
    with pytest.raises(ImproperlyConfigured, match="must be pairs"):
        environment.mapping("GROUPS")
