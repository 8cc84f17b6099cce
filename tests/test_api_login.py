"""Logging in as DIGITS's clients do, and what another site's page can't do."""

import pytest
from django.test import Client

from datasets.models import Dataset
from tests.accounts import PASSWORD, account

pytestmark = pytest.mark.django_db
CREATE = "/datasets/images/classification.json"


@pytest.fixture
def client():
    """Unlike the usual one it is checked for forged requests, as a browser or a script is."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def form(digits_folder):
    return {"dataset_name": "digits", "folder_train": str(digits_folder)}


@pytest.fixture
def open_server(settings, digits_folder):
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [digits_folder]


@pytest.fixture
def ada(settings, digits_folder):
    """An account of a server that requires one."""
    settings.DIGITS_AUTH = "required"
    settings.DIGITS_DATA_ROOTS = [digits_folder]
    return account("ada", "user")


def test_on_an_open_server_the_name_alone_logs_in_and_owns_what_it_creates(client, open_server, form):
    answer = client.post("/login", {"username": "fred"})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert (answer.cookies["username"].value, answer.cookies["username"]["samesite"]) == ("fred", "Lax")
    client.post(CREATE, form)
    assert Dataset.objects.get().owner == "fred"


def test_whoever_logs_out_owns_nothing_more(client, open_server, form):
    client.post("/login", {"username": "fred"})
    answer = client.post("/logout")
    assert (answer.status_code, answer["Location"]) == (302, "/")
    client.post(CREATE, form)
    assert Dataset.objects.get().owner == ""


@pytest.mark.parametrize("name", ["", "two words", "a" * 151, "ümlaut", "a;b", '"', "a\nb"])
def test_what_is_no_name_is_refused(client, open_server, name):
    answer = client.post("/login.json", {"username": name})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "username"
    assert not answer.cookies


@pytest.mark.parametrize("cookie", ["a b", "x" * 1000, "<script>"])
def test_a_cookie_that_is_no_name_names_nobody(client, open_server, form, cookie):
    client.cookies["username"] = cookie
    client.post(CREATE, form)
    assert Dataset.objects.get().owner == ""


def test_a_script_logs_in_with_its_password_and_goes_on_in_the_session(client, ada, form):
    assert client.post(CREATE, form).status_code == 401
    answer = client.post("/login", {"username": "ada", "password": "engine no. 1"})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert client.post(CREATE, form).status_code == 200
    assert Dataset.objects.get().owner == "ada"
    assert client.delete(f"/datasets/{Dataset.objects.get().pk}").status_code == 200


def test_the_body_may_be_json(client, ada):
    body = {"username": "ada", "password": "engine no. 1"}
    assert client.post("/login", body, content_type="application/json").status_code == 302
    assert client.get("/index.json").status_code == 200


@pytest.mark.parametrize(
    "sent", [{"username": "ada"}, {"username": "ada", "password": "x"}, {"username": "eve", "password": "engine no. 1"}]
)
def test_without_the_right_password_nobody_gets_in(client, ada, sent):
    answer = client.post("/login.json", sent)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "Unauthorized")
    assert client.get("/index.json").status_code == 401


def test_the_cookie_of_an_open_server_opens_no_other(client, ada):
    client.cookies["username"] = "ada"
    assert client.get("/index.json").status_code == 401


def test_who_logs_out_is_out(client, ada):
    client.post("/login", {"username": "ada", "password": "engine no. 1"})
    client.get("/logout")
    assert client.get("/index.json").status_code == 401


def test_who_is_logged_in_may_log_in_as_another(client, ada):
    account("grace", "user")
    client.post("/login", {"username": "ada", "password": "engine no. 1"})
    assert client.post("/login", {"username": "grace", "password": PASSWORD}).status_code == 302


@pytest.mark.parametrize("header", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_another_sites_page_can_use_no_session_and_log_nobody_in(client, ada, form, header):
    right = {"username": "ada", "password": "engine no. 1"}
    assert client.post("/login.json", right, headers=header).status_code == 403
    client.post("/login", right)
    assert client.post(CREATE, form, headers=header).status_code == 403
    assert not Dataset.objects.exists()


def test_the_login_has_a_page_with_its_form(client, ada):
    page = client.get("/login", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert 'name="username"' in page.content.decode()
