"""The server below a path of a site, as a proxy serves it: no page, redirect, cookie or schema leads out of there."""

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
LINK = re.compile(r"""(?:href|src|action|data-action|data-next|data-status)=["']([^"'#]+)""")
OTHERS = ("data:", "javascript:", "mailto:", "https://www.djangoproject.com", "https://docs.djangoproject.com")
BROWSER = {"Accept": "text/html"}


@pytest.fixture(scope="module")
def run(digits_folder):
    with temporary_home() as home, RunningServer(home, 0, DIGITS_URL_PREFIX=PREFIX) as running:
        running.connection = http.client.HTTPConnection(urlsplit(running.url).netloc, timeout=30)
        running.dataset = running.create_job(
            f"{PREFIX}/datasets/images/classification.json", dataset_name="d", folder_train=str(digits_folder)
        )
        fields = {"model_name": "m", "dataset": running.dataset, "standard_networks": "lenet"}
        running.model = running.create_job("/models/images/classification.json", **fields)  # as the proxy may ask too
        yield running
        running.connection.close()


@pytest.fixture
def ask(run):
    """(status, headers, text) of a request that follows nothing."""

    def ask(path, method="GET", body=None, **headers):
        run.connection.request(method, path, body, {**BROWSER, **headers})
        answer = run.connection.getresponse()
        return answer.status, answer.headers, answer.read().decode(errors="replace")

    return ask


def links(page, text):
    """The paths on this server that the page at `page` leads to or loads from."""
    found = {urljoin(page, link.replace("&amp;", "&")) for link in LINK.findall(text) if not link.startswith(OTHERS)}
    return {urlsplit(link).path for link in found}


def test_the_stack_says_where_it_is(run):
    assert urlsplit(run.url).path == f"{PREFIX}/"


def test_no_link_of_any_page_leads_out_and_none_is_broken(run, ask):
    pages = ["/", f"/datasets/{run.dataset}", f"/models/{run.model}", "/models/images/classification/classify_one"]
    pages += ["/login", "/api/docs", "/nothing/here", "/admin/login/"]
    found = {}
    for page in pages:
        found |= dict.fromkeys(links(PREFIX + page, ask(PREFIX + page)[2]), page)
    assert {f"{PREFIX}/models/{run.model}", f"{PREFIX}/jobs/{run.model}/status.json"} <= set(found)
    assert {link: page for link, page in found.items() if not link.startswith(f"{PREFIX}/")} == {}
    followed = {link: ask(link)[0] for link in found if "/nothing" not in link}
    assert {link: status for link, status in followed.items() if status not in (200, 302, 405)} == {}


def test_redirects_stay_below_it(run, ask):
    posted = {"body": "username=ada", "Content-Type": "application/x-www-form-urlencoded"}
    asked = [ask(f"{PREFIX}/jobs/{run.model}"), ask(f"{PREFIX}/login", "POST", **posted), ask(f"{PREFIX}/admin/")]
    assert [headers["Location"] for _, headers, _ in asked] == [
        f"{PREFIX}/models/{run.model}",
        f"{PREFIX}/",
        f"{PREFIX}/admin/login/?next={PREFIX}/admin/",
    ]


def test_cookies_are_sent_to_no_other_tool_of_the_site(run, ask):
    password = re.search(r"password (\S+)", run.output.read_text())[1]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = ask(f"{PREFIX}/login", "POST", urlencode({"username": "admin", "password": password}), **form)
    cookies = answer[1].get_all("Set-Cookie")
    assert {cookie.partition("=")[0].rpartition("_")[0] for cookie in cookies} >= {"digits_session", "digits_csrf"}
    assert [cookie for cookie in cookies if f"Path={PREFIX}" not in cookie] == []


@pytest.mark.parametrize("path", [f"{PREFIX}/index.json", f"/{PREFIX}//index.json", "/index.json"])
def test_the_proxy_may_leave_the_prefix_in_the_path_or_take_it_out(run, ask, path):
    assert json.loads(ask(path)[2])["models"][0]["id"] == run.model


def test_the_schema_tells_clients_of_it(ask):
    assert json.loads(ask(f"{PREFIX}/api/schema")[2])["servers"] == [{"url": PREFIX}]


@pytest.mark.parametrize(
    "value, prefix", [("", ""), ("/", ""), ("digits", "/digits"), ("/tools/digits/", "/tools/digits")]
)
def test_it_is_written_with_or_without_slashes(monkeypatch, value, prefix):
    monkeypatch.setitem(os.environ, "DIGITS_URL_PREFIX", value)
    assert environment.url_prefix("DIGITS_URL_PREFIX") == prefix


@pytest.mark.parametrize("value", ["/a//b", "/../a", "https://example.org/a", "/a b", "/a?b", "/é"])
def test_what_is_no_path_is_refused(monkeypatch, value):
    monkeypatch.setitem(os.environ, "DIGITS_URL_PREFIX", value)
    with pytest.raises(ImproperlyConfigured, match="it takes a path like /digits"):
        environment.url_prefix("DIGITS_URL_PREFIX")


@pytest.mark.parametrize("value", ["/models", "jobs/", "/admin/digits", "/index.json"])
def test_a_path_of_the_servers_own_is_refused(monkeypatch, value):
    monkeypatch.setitem(os.environ, "DIGITS_URL_PREFIX", value)
    with pytest.raises(ImproperlyConfigured, match="is a path of the server's own"):
        environment.url_prefix("DIGITS_URL_PREFIX")


def routes(patterns, before=""):
    for pattern in patterns:
        route = before + str(pattern.pattern).lstrip("^")
        yield from routes(pattern.url_patterns, route) if hasattr(pattern, "url_patterns") else [route]


def test_the_servers_own_paths_are_those_of_its_routes():
    firsts = {re.split(r"[/.]", route)[0] for route in routes(get_resolver().url_patterns)}
    assert firsts - {""} == environment.OWN_PATHS
