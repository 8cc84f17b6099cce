"""Attacks that once succeeded: cross-site logout, forged addresses, log injection, costly requests, inline scripts."""

import logging
import re

import pytest
from rest_framework.exceptions import Throttled

from digits_project.accounts import throttling
from digits_project.accounts.client_address import client_network, sender
from digits_project.accounts.login_throttling import MAX_BY_ADDRESS
from digits_project.common import processes
from digits_project.monitoring.log_format import Brief, OneLine
from models_app.networks.layer import BadNetwork
from models_app.networks.prototxt.text import parse
from tests.support.api_requests import PASSWORD, make_account, token_header
from tests.support.webserver import first_of_two, forked

LOGIN = "/login.json"


# --- browsers --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("header", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}])
def test_a_link_on_another_site_cannot_log_a_user_out(client, auth_required, header):
    client.force_login(make_account("ada", "viewer"))
    assert client.get("/logout", headers=header).status_code == 403
    assert client.get("/index.json").status_code == 200
    assert client.get("/logout", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 302
    assert client.get("/index.json").status_code == 401


# --- client addresses ------------------------------------------------------------------------------------------------
def test_password_guessing_behind_a_proxy_locks_only_the_guessers_address(client, auth_required, settings):
    settings.DIGITS_HTTPS = True
    make_account("ada", "viewer")
    guesser, ada = {"X-Forwarded-For": "198.51.100.7"}, {"X-Forwarded-For": "198.51.100.8"}
    for number in range(MAX_BY_ADDRESS):
        client.post(LOGIN, {"username": f"u{number}", "password": "?"}, headers=guesser)
    form = {"username": "ada", "password": PASSWORD}
    assert client.post(LOGIN, form, headers=guesser).status_code == 429
    assert client.post(LOGIN, form, headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}).status_code == 429
    assert client.post(LOGIN, form, headers=ada).status_code == 302


@pytest.mark.parametrize("https, forwarded, address", [
    (False, "198.51.100.7", "127.0.0.1"), (True, "", "127.0.0.1"), (True, "198.51.100.7", "198.51.100.7"),
    (True, "1.1.1.1, 2001:db8::7", "2001:db8::7"), (True, "1.1.1.1, junk\x00", "127.0.0.1"),
])  # fmt: skip
def test_the_client_address_is_the_last_entry_that_the_proxy_added(rf, settings, https, forwarded, address):
    settings.DIGITS_HTTPS = https
    assert sender(rf.get("/", headers={"X-Forwarded-For": forwarded})) == address


@pytest.mark.parametrize("address, counted_as", [
    ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("::ffff:192.0.2.1", "192.0.2.1"), ("192.0.2.1", "192.0.2.1"),
    ("", ""), ("no address", "no address"),
])  # fmt: skip
def test_ipv6_addresses_of_one_network_count_as_one_client(address, counted_as):
    assert client_network(address) == counted_as


# --- logs ------------------------------------------------------------------------------------------------------------
def logged(formatter, message, *arguments, exc_info=None):
    """The text that a formatter makes of an error message."""
    record = logging.LogRecord("x", logging.ERROR, "", 1, message, arguments, exc_info)
    return formatter("%(levelname)s %(message)s").format(record)


@pytest.mark.parametrize("letter", ["\n", "\r", "\x1b", "\x85", "\u2028", "\x00", "\ud800"])
def test_a_request_cannot_add_lines_to_the_log(letter):
    line = logged(OneLine, "Not Found: %s", f"/a{letter}ERROR forged")
    assert line == f"ERROR Not Found: /a{ascii(letter)[1:-1]}ERROR forged"


def test_the_log_has_tracebacks_of_faults_but_not_of_malformed_requests():
    fault = (ValueError, ValueError("broken"), None)
    assert logged(OneLine, "fault", exc_info=fault).splitlines() == ["ERROR fault", "ValueError: broken"]
    assert logged(Brief, "foreign host", exc_info=fault) == "ERROR foreign host"


def test_the_log_of_a_running_process_is_rotated(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "LOG_LIMIT", 100)
    log = tmp_path / "web.log"
    with log.open("a") as writer:
        print("old" * 100, file=writer, flush=True)
        processes.cut(log)
        print("new", file=writer, flush=True)
        processes.cut(log)
    assert log.read_text() == "new\n"
    assert log.with_name("web.log.1").read_text() == "old" * 100 + "\n"


# --- limits of one request -------------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", ["#\n" * 100_000 + "}", 'a: "' + "\\n" * 100_000, "a: '" + "\\'" * 100_000])
def test_a_prototxt_of_comments_or_escapes_needs_little_memory(text):
    tracemalloc = pytest.importorskip("tracemalloc")
    tracemalloc.start()
    with pytest.raises(BadNetwork):
        parse(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * len(text)


def test_a_prototxt_string_can_contain_escapes():
    assert parse('a: "' + "\\n" * 999 + '"').fields[0].value == "\n" * 999


@pytest.mark.parametrize("field", ["learning_rate"])
def test_a_learning_rate_chart_has_at_most_100_curves(client, settings, field):
    settings.DIGITS_AUTH = "open"
    response = client.post("/models/visualize-lr", {field: ",".join(f"{i}e-4" for i in range(1, 102))})
    assert (response.status_code, response.json()["errors"][0]["field"]) == (400, field)
    assert client.post("/models/visualize-lr", {field: ",".join(f"{i}e-4" for i in range(1, 101))}).status_code == 200


# --- pages -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/", "/login", "/models/images/classification", "/admin/login/", "/api/docs"])
def test_pages_contain_no_inline_scripts_and_forbid_them(client, settings, db, path):
    settings.DIGITS_AUTH = "open"
    response = client.get(path, headers={"Accept": "text/html"})
    assert "script-src 'self';" in response.headers["Content-Security-Policy"]
    page = response.content.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == re.findall(r"\son[a-z]+=", page) == []


# --- limits of one account -------------------------------------------------------------------------------------------
def test_the_limit_of_waiting_jobs_applies_to_users_but_not_to_operators(client, auth_required, settings, dataset_form):
    settings.DIGITS_MOST_WAITING = 2
    ugo, uma, olga = (
        token_header(make_account(*who)) for who in (("ugo", "user"), ("uma", "user"), ("olga", "operator"))
    )
    create = "/datasets/images/classification.json"
    jobs = [client.post(create, dataset_form, headers=ugo).json()["job_id"] for _ in range(2)]
    response = client.post(create, dataset_form, headers=ugo)
    assert (response.status_code, response.json()["error"]["type"]) == (429, "TooManyRequests")
    assert "2 jobs of yours are waiting" in response.json()["error"]["description"]
    assert client.get(create, headers=ugo).status_code == 200
    assert client.post(create, dataset_form, headers=uma).status_code == 200
    assert [client.post(create, dataset_form, headers=olga).status_code for _ in range(3)] == [200] * 3
    client.post(f"/jobs/{jobs[0]}/abort", headers=ugo)
    assert client.post(create, dataset_form, headers=ugo).status_code == 200


def test_lists_of_a_user_in_another_web_process_count_until_it_dies(rf, auth_required):
    request = rf.post("/")
    request.user = make_account("vera", "viewer")
    first_list, second_list = (throttling.one_of_few_lists(request) for _ in range(2))
    with first_of_two() as shared:
        other = forked(lambda: (shared.join(), shared.hold(f"lists-{request.user.pk}", 2)))
        with other, pytest.raises(Throttled, match="2 lists of yours"):
            first_list.__enter__()
        with forked(shared.join), second_list:
            """The other process has died, and another one has taken its place."""


def test_the_limit_of_concurrent_lists_applies_to_each_user(rf, auth_required):
    request, other = rf.post("/"), rf.post("/")
    request.user, other.user = make_account("vera", "viewer"), make_account("vito", "viewer")
    with throttling.one_of_few_lists(request), throttling.one_of_few_lists(request), throttling.one_of_few_lists(other):
        third_list = throttling.one_of_few_lists(request)
        with pytest.raises(Throttled, match="2 lists of yours"):
            third_list.__enter__()
    with throttling.one_of_few_lists(request), throttling.one_of_few_lists(request):
        """Lists that have ended are not counted."""
