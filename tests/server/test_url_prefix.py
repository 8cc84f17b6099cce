"""A server below a path of a site, behind a proxy: links, redirects, cookies and the schema stay below it."""

import http.client
import json
import os
import re
from urllib.parse import urlencode, urljoin, urlsplit

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.urls import get_resolver

from digits_project import environment
from tests.support.server import RunningServer
from tests.support.services import temporary_home

PREFIX = "/tools/digits"
LINK = re.compile(r"""(?:href|src|action|data-action|data-next)=["']([^"'#]+)""")
EXTERNAL = ("data:", "javascript:", "mailto:", "https://www.djangoproject.com", "https://docs.djangoproject.com")
BROWSER = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def run(digits_folder):
    with temporary_home() as home, RunningServer(home, 0, DIGITS_URL_PREFIX=PREFIX) as running:
        running.connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=30)
        running.dataset = running.create_job(
            f"{PREFIX}/datasets/images/classification.json", dataset_name="d", folder_train=str(digits_folder)
        )
        fields = {"model_name": "m", "dataset": running.dataset, "standard_networks": "lenet"}
        # Without the prefix, as behind a proxy that removes it.
        running.model = running.create_job("/models/images/classification.json", **fields)
        yield running
        running.connection.close()


@pytest.fixture
def fetch(run):
    """A function that returns (status, headers, text) of a request without following redirects."""

    def fetch(path, method="GET", body=None, **headers):
        run.connection.request(method, path, body, {**BROWSER, **headers})
        response = run.connection.getresponse()
        return response.status, response.headers, response.read().decode(errors="replace")

    return fetch


def links(page, text):
    """The paths on this server to which the page at `page` links."""
    found = {urljoin(page, link.replace("&amp;", "&")) for link in LINK.findall(text) if not link.startswith(EXTERNAL)}
    return {urlsplit(link).path for link in found}


def test_the_supervisor_reports_the_url_with_the_prefix(run):
    assert urlsplit(run.url).path == f"{PREFIX}/"


def test_every_link_of_every_page_stays_below_the_prefix_and_works(run, fetch):
    pages = ["/", f"/datasets/{run.dataset}", f"/models/{run.model}", "/models/images/classification/classify_one"]
    pages += ["/login", "/api/docs", "/nothing/here", "/admin/login/"]
    found = {}
    for page in pages:
        found |= dict.fromkeys(links(PREFIX + page, fetch(PREFIX + page)[2]), page)
    assert {f"{PREFIX}/models/{run.model}", f"{PREFIX}/models/{run.model}.json"} <= set(found)
    assert {link: page for link, page in found.items() if not link.startswith(f"{PREFIX}/")} == {}
    statuses = {link: fetch(link)[0] for link in found if "/nothing" not in link}
    assert {link: status for link, status in statuses.items() if status not in (200, 302, 405)} == {}


def test_redirects_stay_below_the_prefix(run, fetch):
    form = {"body": "username=ada", "Content-Type": "application/x-www-form-urlencoded"}
    responses = [
        fetch(f"{PREFIX}/jobs/{run.model}"),
        fetch(f"{PREFIX}/login", "POST", **form),
        fetch(f"{PREFIX}/admin/"),
    ]
    assert [headers["Location"] for _, headers, _ in responses] == [
        f"{PREFIX}/models/{run.model}",
        f"{PREFIX}/",
        f"{PREFIX}/admin/login/?next={PREFIX}/admin/",
    ]


def test_the_path_of_cookies_is_the_prefix(run, fetch):
    password = re.search(r"password (\S+)", run.output.read_text())[1]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    response = fetch(f"{PREFIX}/login", "POST", urlencode({"username": "admin", "password": password}), **form)
    cookies = response[1].get_all("Set-Cookie")
    assert {cookie.partition("=")[0].rpartition("_")[0] for cookie in cookies} >= {"digits_session", "digits_csrf"}
    assert [cookie for cookie in cookies if f"Path={PREFIX}" not in cookie] == []


@pytest.mark.parametrize("path", [f"{PREFIX}/index.json", f"/{PREFIX}//index.json", "/index.json"])
def test_a_path_is_found_with_and_without_the_prefix(run, fetch, path):
    assert json.loads(fetch(path)[2])["models"][0]["id"] == run.model


def test_the_schema_names_the_prefix_as_its_server(fetch):
    assert json.loads(fetch(f"{PREFIX}/api/schema")[2])["servers"] == [{"url": PREFIX}]


@pytest.mark.parametrize(
    "value, prefix", [("", ""), ("/", ""), ("digits", "/digits"), ("/tools/digits/", "/tools/digits")]
)
def test_the_prefix_is_accepted_with_and_without_slashes(monkeypatch, value, prefix):
    monkeypatch.setitem(os.environ, "DIGITS_URL_PREFIX", value)
    assert environment.url_prefix("DIGITS_URL_PREFIX") == prefix


@pytest.mark.parametrize("value", ["/a//b", "/../a", "https://example.org/a", "/a b", "/a?b", "/é"])
def test_a_prefix_that_is_no_path_is_refused(monkeypatch, value):
    monkeypatch.setitem(os.environ, "DIGITS_URL_PREFIX", value)
    with pytest.raises(ImproperlyConfigured, match="it must be a path like /digits"):
        environment.url_prefix("DIGITS_URL_PREFIX")


@pytest.mark.parametrize("value", ["/models", "jobs/", "/admin/digits", "/index.json"])
def test_a_prefix_that_is_one_of_the_servers_routes_is_refused(monkeypatch, value):
    monkeypatch.setitem(os.environ, "DIGITS_URL_PREFIX", value)
    with pytest.raises(ImproperlyConfigured, match="is a path of the server's own"):
        environment.url_prefix("DIGITS_URL_PREFIX")


def routes(patterns, before=""):
    for pattern in patterns:
        route = before + str(pattern.pattern).lstrip("^")
        yield from routes(pattern.url_patterns, route) if hasattr(pattern, "url_patterns") else [route]


def test_the_list_of_own_paths_matches_the_routes():
    firsts = {re.split(r"[/.]", route)[0] for route in routes(get_resolver().url_patterns)}
    assert firsts - {""} == environment.OWN_PATHS
