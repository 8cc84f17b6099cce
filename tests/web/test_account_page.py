"""The account page: password and tokens; the page about the server."""

import re

import pytest

from digits_project.accounts.models import AccessToken
from tests.support.api_requests import PASSWORD, make_account, token_header

pytestmark = pytest.mark.django_db
BROWSER = {"Accept": "text/html"}
NEW = "a-much-better-secret-7"


@pytest.fixture
def ada(client, settings):
    """A user who is logged in on a server with accounts."""
    settings.DIGITS_AUTH = "required"
    ada = make_account("ada", "user")
    client.force_login(ada)
    return ada


def change(client, old, new, again=None):
    form = {"old_password": old, "new_password": new, "new_password_again": new if again is None else again}
    return client.post("/account/password", form, headers=BROWSER)


def test_a_changed_password_is_the_only_one_that_works_and_the_login_stays(client, ada):
    response = change(client, PASSWORD, NEW)
    assert (response.status_code, response["Location"]) == (302, "/account")
    assert client.get("/account.json").json()["name"] == "ada"
    ada.refresh_from_db()
    assert (ada.check_password(NEW), ada.check_password(PASSWORD)) == (True, False)


@pytest.mark.parametrize(
    "old, new, again, field",
    [
        ("wrong", NEW, None, "old_password"),
        (PASSWORD, "1234", None, "new_password"),
        (PASSWORD, NEW, "another", "new_password_again"),
        (PASSWORD, "", None, "new_password"),
    ],
)
def test_a_password_is_not_changed_for_a_reason_that_is_at_its_field(client, ada, old, new, again, field):
    response = change(client, old, new, again)
    assert response.status_code == 400
    assert f'href="#id_{field}"' in response.content.decode()
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


def test_a_token_is_shown_once_works_and_can_be_withdrawn(client, ada):
    page = client.post("/account/tokens", {"token_name": "night script", "scope": "read"}, headers=BROWSER)
    secret = re.search(r"digits_[\w-]+", page.content.decode())[0]
    account = client.get("/account", headers=BROWSER).content.decode()
    assert "night script" in account
    assert secret not in account
    client.logout()
    header = {"Authorization": f"Token {secret}"}
    assert client.get("/index.json", headers=header).status_code == 200
    client.force_login(ada)
    client.post("/account/tokens/withdraw", {"token": AccessToken.objects.get().pk})
    client.logout()
    assert client.get("/index.json", headers=header).status_code == 401


def test_nobody_withdraws_the_token_of_another(client, ada):
    token_header(make_account("eve", "user"))
    token = AccessToken.objects.get()
    response = client.post("/account/tokens/withdraw", {"token": token.pk}, headers=BROWSER)
    assert response.status_code == 404
    assert AccessToken.objects.filter(pk=token.pk).exists()


def test_a_token_makes_no_further_token(client, settings):
    settings.DIGITS_AUTH = "required"
    header = token_header(make_account("ada", "user"))
    response = client.post("/account/tokens", {"token_name": "second"}, headers=header)
    assert response.status_code == 401
    assert AccessToken.objects.count() == 1


def test_the_account_page_of_an_open_server_has_no_passwords_or_tokens(client, open_server):
    page = client.get("/account", headers=BROWSER).content.decode()
    assert "this server needs no login" in page
    assert "Tokens for scripts" not in page


def test_the_page_about_the_server_names_versions_licences_and_terms(client, open_server, cpu):
    page = client.get("/about", headers=BROWSER).content.decode()
    for text in ("PostgreSQL", "MXNet", str(cpu), "One pass of the training over all images", "htmx-2.0.11/LICENSE"):
        assert text in page
