"""Login and logout with the requests of DIGITS clients, the login page, and the cookies."""

from pathlib import Path

import pytest
from django.test import Client

from datasets.models import Dataset
from digits_project import environment
from digits_project.accounts import login_throttling
from tests.support.api_requests import PASSWORD, make_account

pytestmark = pytest.mark.django_db
CREATE = "/datasets/images/classification.json"


@pytest.fixture
def client():
    """A test client with CSRF checks, which Django's usual test client leaves out."""
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def open_server(settings, digits_folder):
    """A server without accounts; jobs can read the digits."""
    settings.DIGITS_AUTH = "open"
    settings.DIGITS_DATA_ROOTS = [digits_folder]


@pytest.fixture
def ada(auth_required):
    """A user of a server that requires accounts."""
    return make_account("ada", "user")


def test_an_open_server_logs_in_a_name_without_a_password(client, open_server, dataset_form):
    response = client.post("/login", {"username": "fred"})
    assert (response.status_code, response["Location"]) == (302, "/")
    assert (response.cookies["username"].value, response.cookies["username"]["samesite"]) == ("fred", "Lax")
    client.post(CREATE, dataset_form)
    assert Dataset.objects.get().owner == "fred"


def test_a_job_created_after_logout_has_no_owner(client, open_server, dataset_form):
    client.post("/login", {"username": "fred"})
    response = client.post("/logout")
    assert (response.status_code, response["Location"]) == (302, "/")
    client.post(CREATE, dataset_form)
    assert Dataset.objects.get().owner == ""


@pytest.mark.parametrize("name", ["", "two words", "a" * 151, "ümlaut", "a;b", '"', "a\nb"])
def test_login_rejects_an_invalid_name(client, open_server, name):
    response = client.post("/login.json", {"username": name})
    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "username"
    assert not response.cookies


@pytest.mark.parametrize("cookie", ["a b", "x" * 1000, "<script>"])
def test_an_invalid_name_in_the_cookie_is_ignored(client, open_server, dataset_form, cookie):
    client.cookies["username"] = cookie
    client.post(CREATE, dataset_form)
    assert Dataset.objects.get().owner == ""


def test_a_script_logs_in_with_a_password_and_uses_the_session(client, ada, dataset_form):
    assert client.post(CREATE, dataset_form).status_code == 401
    response = client.post("/login", {"username": "ada", "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/")
    assert client.post(CREATE, dataset_form).status_code == 200
    assert Dataset.objects.get().owner == "ada"
    assert client.delete(f"/datasets/{Dataset.objects.get().pk}").status_code == 200


def test_login_accepts_a_json_body(client, ada):
    body = {"username": "ada", "password": PASSWORD}
    assert client.post("/login", body, content_type="application/json").status_code == 302
    assert client.get("/index.json").status_code == 200


@pytest.mark.parametrize(
    "sent", [{"username": "ada"}, {"username": "ada", "password": "x"}, {"username": "eve", "password": PASSWORD}]
)
def test_login_with_a_missing_or_wrong_password_gets_401(client, ada, sent):
    response = client.post("/login.json", sent)
    assert (response.status_code, response.json()["error"]["type"]) == (401, "Unauthorized")
    assert client.get("/index.json").status_code == 401


def test_the_name_cookie_of_an_open_server_does_not_log_in_where_accounts_are_required(client, ada):
    client.cookies["username"] = "ada"
    assert client.get("/index.json").status_code == 401


def test_logout_ends_the_session(client, ada):
    client.post("/login", {"username": "ada", "password": PASSWORD})
    client.get("/logout")
    assert client.get("/index.json").status_code == 401


def test_a_logged_in_user_can_log_in_as_another(client, ada):
    make_account("grace", "user")
    client.post("/login", {"username": "ada", "password": PASSWORD})
    assert client.post("/login", {"username": "grace", "password": PASSWORD}).status_code == 302


@pytest.mark.parametrize("header", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_page_of_another_site_can_neither_use_the_session_nor_log_in(client, ada, dataset_form, header):
    right = {"username": "ada", "password": PASSWORD}
    assert client.post("/login.json", right, headers=header).status_code == 403
    client.post("/login", right)
    assert client.post(CREATE, dataset_form, headers=header).status_code == 403
    assert not Dataset.objects.exists()


def test_the_login_page_shows_the_form(client, ada):
    page = client.get("/login", headers={"Accept": "text/html"})
    assert page.status_code == 200
    assert 'name="username"' in page.content.decode()


# --- the login page --------------------------------------------------------------------------------------------------
SECRET = "not to be repeated 4711"
BROWSER = {"Accept": "text/html"}


@pytest.mark.parametrize("path", ["/login", "/admin/login/"])
@pytest.mark.parametrize("name", ["ada", "no name", ""])
def test_the_page_of_a_failed_login_does_not_repeat_the_password(client, ada, path, name):
    response = client.post(path, {"username": name, "password": SECRET}, headers=BROWSER)
    assert response.status_code in (400, 401)
    assert 'name="password"' in response.content.decode()
    assert SECRET not in response.content.decode()


@pytest.mark.parametrize("path", ["/login", "/login.json"])
def test_the_login_page_does_not_repeat_a_password_from_the_query_string(client, ada, path):
    page = client.get(path, {"username": "ada", "password": SECRET}, headers=BROWSER)
    assert page.status_code == 200
    assert SECRET not in page.content.decode()


def test_the_page_of_a_locked_account_does_not_repeat_the_password(client, ada):
    for _ in range(login_throttling.MAX_BY_ACCOUNT):
        client.post("/login.json", {"username": "ada", "password": "wrong"})
    response = client.post("/login", {"username": "ada", "password": SECRET}, headers=BROWSER)
    assert response.status_code == 429
    assert SECRET not in response.content.decode()


@pytest.mark.parametrize("path", ["/login", "/login.json", "/index.json", "/", "/nothing.json", "/api/docs"])
def test_responses_for_an_account_forbid_caching(client, ada, path):
    assert client.get(path).headers["Cache-Control"] == "no-store"
    client.force_login(ada)
    assert client.get(path).headers["Cache-Control"] == "no-store"


def test_the_page_of_a_failed_login_forbids_caching(client, ada):
    response = client.post("/login", {"username": "ada", "password": SECRET}, headers=BROWSER)
    assert response.headers["Cache-Control"] == "no-store"


def test_static_files_can_be_cached(client, ada):
    response = client.get("/static/digits.css")
    response.close()
    assert "Cache-Control" not in response.headers


def test_the_admin_redirects_to_the_login_page_and_back(client, ada):
    ada.is_staff = True
    ada.save()
    page = client.get("/admin/datasets/dataset/", follow=True, headers=BROWSER)
    assert page.redirect_chain[-1][0] == "/login?next=%2Fadmin%2Fdatasets%2Fdataset%2F"
    assert 'name="next" value="/admin/datasets/dataset/"' in page.content.decode()
    dataset_form = {"username": "ada", "password": PASSWORD, "next": "/admin/datasets/dataset/"}
    response = client.post("/login", dataset_form)
    assert (response.status_code, response["Location"]) == (302, "/admin/datasets/dataset/")
    assert client.get("/admin/datasets/dataset/").status_code == 200


def test_the_login_page_explains_that_the_admin_needs_a_staff_account(client, ada):
    client.force_login(ada)
    page = client.get("/admin/", follow=True, headers=BROWSER).content.decode()
    assert "You are logged in as ada, who is not allowed to see /admin/" in page


def test_the_admin_login_url_accepts_a_name_and_a_password(client, ada):
    response = client.post("/admin/login/", {"username": "ada", "password": PASSWORD})
    assert (response.status_code, response["Location"]) == (302, "/admin/")


@pytest.mark.parametrize("page", ["https://evil.example/", "//evil.example", "javascript:alert(1)", "\\\\evil.example"])
def test_login_does_not_redirect_to_another_site(client, ada, page):
    response = client.post("/login", {"username": "ada", "password": PASSWORD, "next": page})
    assert (response.status_code, response["Location"]) == (302, "/")
    assert "evil" not in client.get("/login", {"next": page}, headers=BROWSER).content.decode()


def test_the_admin_of_an_open_server_requires_a_password(client, open_server):
    root = make_account("root", is_staff=True, is_superuser=True)
    response = client.post("/login", {"username": "root", "next": "/admin/"})
    assert response.status_code == 401
    assert "username" not in response.cookies
    client.post("/login", {"username": root.username, "password": PASSWORD})
    assert client.get("/admin/").status_code == 200


def test_an_open_server_ignores_the_password_of_an_unknown_name(client, open_server):
    response = client.post("/login", {"username": "fred", "password": "of another server"})
    assert (response.status_code, response.cookies["username"].value) == (302, "fred")


# --- cookies: a browser sends the cookies of one port to all ports of a host -----------------------------------------
def test_cookie_names_differ_from_the_defaults_of_django(client, ada):
    client.post("/login", {"username": "ada", "password": PASSWORD})
    ada.is_staff = True
    ada.save()
    client.get("/admin/password_change/", headers=BROWSER)
    names = {name.rpartition("_")[0] for name in client.cookies}
    assert names == {"digits_session", "digits_csrf"}


def test_cookies_of_another_django_server_on_the_host_are_ignored(client, ada, dataset_form):
    client.post("/login", {"username": "ada", "password": PASSWORD})
    client.cookies["sessionid"] = client.cookies["csrftoken"] = "of another server"
    client.cookies["messages"] = "of another server"
    assert client.post(CREATE, dataset_form).status_code == 200


@pytest.mark.parametrize("home, key", [("/srv/b", "key"), ("/srv/a", "other key")])
def test_two_servers_on_one_host_have_different_cookie_names(home, key):
    assert environment.server_id(Path(home), key) != environment.server_id(Path("/srv/a"), "key")
    assert environment.server_id(Path("/srv/a"), "key") == environment.server_id(Path("/srv/a"), "key")


def test_a_login_at_another_open_server_on_the_host_does_not_change_the_name_here(client, open_server, dataset_form):
    client.post("/login", {"username": "fred"})
    client.cookies["username"] = "bob"  # set by the other server
    client.post(CREATE, dataset_form)
    assert Dataset.objects.get().owner == "fred"
    assert "(fred)" in client.get("/", headers=BROWSER).content.decode()


def test_a_digits_client_can_set_the_name_cookie_itself(client, open_server, dataset_form):
    client.cookies["username"] = "bob"
    client.post(CREATE, dataset_form)
    assert Dataset.objects.get().owner == "bob"
