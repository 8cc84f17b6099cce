"""Logging in as DIGITS's clients do, and what another site's page can't do."""

from pathlib import Path

import pytest
from django.test import Client

from datasets.models import Dataset
from digits_project import environment
from digits_project.accounts import guard
from tests.support.accounts import PASSWORD, account

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


# --- the page -------------------------------------------------------------------------------------------------------
SECRET = "not to be repeated 4711"
BROWSER = {"Accept": "text/html"}


@pytest.mark.parametrize("path", ["/login", "/admin/login/"])
@pytest.mark.parametrize("name", ["ada", "no name", ""])
def test_the_page_of_a_refused_login_does_not_repeat_the_password(client, ada, path, name):
    answer = client.post(path, {"username": name, "password": SECRET}, headers=BROWSER)
    assert answer.status_code in (400, 401)
    assert 'name="password"' in answer.content.decode()
    assert SECRET not in answer.content.decode()


@pytest.mark.parametrize("path", ["/login", "/login.json"])
def test_a_password_in_the_query_string_is_not_repeated(client, ada, path):
    page = client.get(path, {"username": "ada", "password": SECRET}, headers=BROWSER)
    assert page.status_code == 200
    assert SECRET not in page.content.decode()


def test_the_page_of_a_login_that_has_to_wait_does_not_repeat_the_password(client, ada):
    for _ in range(guard.MAX_BY_ACCOUNT):
        client.post("/login.json", {"username": "ada", "password": "wrong"})
    answer = client.post("/login", {"username": "ada", "password": SECRET}, headers=BROWSER)
    assert answer.status_code == 429
    assert SECRET not in answer.content.decode()


@pytest.mark.parametrize("path", ["/login", "/login.json", "/index.json", "/", "/nothing.json", "/api/docs"])
def test_no_cache_keeps_what_is_for_an_account(client, ada, path):
    assert client.get(path).headers["Cache-Control"] == "no-store"
    client.force_login(ada)
    assert client.get(path).headers["Cache-Control"] == "no-store"


def test_no_cache_keeps_the_page_of_a_refused_login(client, ada):
    answer = client.post("/login", {"username": "ada", "password": SECRET}, headers=BROWSER)
    assert answer.headers["Cache-Control"] == "no-store"


def test_caches_may_keep_what_is_the_same_for_everybody(client, ada):
    answer = client.get("/static/digits.css")
    answer.close()
    assert "Cache-Control" not in answer.headers


def test_the_admin_leads_to_the_one_login_and_back(client, ada):
    ada.is_staff = True
    ada.save()
    page = client.get("/admin/datasets/dataset/", follow=True, headers=BROWSER)
    assert page.redirect_chain[-1][0] == "/login?next=%2Fadmin%2Fdatasets%2Fdataset%2F"
    assert 'name="next" value="/admin/datasets/dataset/"' in page.content.decode()
    form = {"username": "ada", "password": PASSWORD, "next": "/admin/datasets/dataset/"}
    answer = client.post("/login", form)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/datasets/dataset/")
    assert client.get("/admin/datasets/dataset/").status_code == 200


def test_who_is_not_staff_is_told_that_the_admin_needs_another_account(client, ada):
    client.force_login(ada)
    page = client.get("/admin/", follow=True, headers=BROWSER).content.decode()
    assert "You are logged in as ada, who may not see /admin/" in page


def test_the_admins_address_for_logging_in_still_takes_a_name_and_a_password(client, ada):
    answer = client.post("/admin/login/", {"username": "ada", "password": PASSWORD})
    assert (answer.status_code, answer["Location"]) == (302, "/admin/")


@pytest.mark.parametrize("page", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "\\\\evil.example"])
def test_a_login_leads_to_no_other_site(client, ada, page):
    answer = client.post("/login", {"username": "ada", "password": PASSWORD, "next": page})
    assert (answer.status_code, answer["Location"]) == (302, "/")
    assert "evil" not in client.get("/login", {"next": page}, headers=BROWSER).content.decode()


def test_on_an_open_server_the_admin_still_takes_a_password(client, open_server):
    root = account("root", is_staff=True, is_superuser=True)
    refused = client.post("/login", {"username": "root", "next": "/admin/"})
    assert refused.status_code == 401
    assert "username" not in refused.cookies
    client.post("/login", {"username": root.username, "password": PASSWORD})
    assert client.get("/admin/").status_code == 200


def test_on_an_open_server_a_name_with_any_password_is_a_name(client, open_server):
    answer = client.post("/login", {"username": "fred", "password": "of another server"})
    assert (answer.status_code, answer.cookies["username"].value) == (302, "fred")


# --- cookies: a browser sends those of one port to all ports of a host ----------------------------------------------
def test_no_cookie_has_a_name_that_another_django_uses(client, ada):
    client.post("/login", {"username": "ada", "password": PASSWORD})
    ada.is_staff = True
    ada.save()
    client.get("/admin/password_change/", headers=BROWSER)
    names = {name.rpartition("_")[0] for name in client.cookies}
    assert names == {"digits_session", "digits_csrf"}


def test_the_cookies_of_another_django_of_the_host_change_nothing(client, ada, form):
    client.post("/login", {"username": "ada", "password": PASSWORD})
    client.cookies["sessionid"] = client.cookies["csrftoken"] = "of another server"
    client.cookies["messages"] = "of another server"
    assert client.post(CREATE, form).status_code == 200


@pytest.mark.parametrize("home, key", [("/srv/b", "key"), ("/srv/a", "other key")])
def test_two_servers_have_cookies_of_different_names(home, key):
    assert environment.server_id(Path(home), key) != environment.server_id(Path("/srv/a"), "key")
    assert environment.server_id(Path("/srv/a"), "key") == environment.server_id(Path("/srv/a"), "key")


def test_logging_in_to_another_open_server_of_the_host_changes_no_name_here(client, open_server, form):
    client.post("/login", {"username": "fred"})
    client.cookies["username"] = "bob"  # which that server has set
    client.post(CREATE, form)
    assert Dataset.objects.get().owner == "fred"
    assert "(fred)" in client.get("/", headers=BROWSER).content.decode()


def test_a_client_of_digits_that_sets_its_cookie_itself_has_that_name(client, open_server, form):
    client.cookies["username"] = "bob"
    client.post(CREATE, form)
    assert Dataset.objects.get().owner == "bob"
