"""What a hostile tester tried and got through with, once."""

import logging
import re

import pytest
from rest_framework.exceptions import Throttled

from digits_project.accounts import throttling
from digits_project.accounts.client_address import household, sender
from digits_project.accounts.guard import MAX_BY_ADDRESS
from digits_project.common import processes
from digits_project.monitoring.log_format import Brief, OneLine
from models_app.networks.layer import BadNetwork
from models_app.networks.prototxt.text import parse
from tests.support.accounts import PASSWORD, account, token_of

LOGIN = "/login.json"


@pytest.fixture
def required(settings, db):
    settings.DIGITS_AUTH = "required"


# --- browsers -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("header", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://elsewhere.example"}])
def test_a_link_or_a_picture_on_another_site_logs_nobody_out(client, required, header):
    client.force_login(account("ada", "viewer"))
    assert client.get("/logout", headers=header).status_code == 403
    assert client.get("/index.json").status_code == 200
    assert client.get("/logout", headers={"Sec-Fetch-Site": "same-origin"}).status_code == 302
    assert client.get("/index.json").status_code == 401


# --- addresses ------------------------------------------------------------------------------------------------------
def test_behind_a_proxy_who_guesses_passwords_locks_out_only_himself(client, required, settings):
    settings.DIGITS_HTTPS = True
    account("ada", "viewer")
    guesser, ada = {"X-Forwarded-For": "198.51.100.7"}, {"X-Forwarded-For": "198.51.100.8"}
    for number in range(MAX_BY_ADDRESS):
        client.post(LOGIN, {"username": f"u{number}", "password": "?"}, headers=guesser)
    form = {"username": "ada", "password": PASSWORD}
    assert client.post(LOGIN, form, headers=guesser).status_code == 429
    assert client.post(LOGIN, form, headers={"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}).status_code == 429
    assert client.post(LOGIN, form, headers=ada).status_code == 302


@pytest.mark.parametrize("https, told, address", [
    (False, "198.51.100.7", "127.0.0.1"), (True, "", "127.0.0.1"), (True, "198.51.100.7", "198.51.100.7"),
    (True, "1.1.1.1, 2001:db8::7", "2001:db8::7"), (True, "1.1.1.1, junk\x00", "127.0.0.1"),
])  # fmt: skip
def test_only_what_the_proxy_itself_adds_is_believed(rf, settings, https, told, address):
    settings.DIGITS_HTTPS = https
    assert sender(rf.get("/", headers={"X-Forwarded-For": told})) == address


@pytest.mark.parametrize("address, whole", [
    ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("::ffff:192.0.2.1", "192.0.2.1"), ("192.0.2.1", "192.0.2.1"),
    ("", ""), ("no address", "no address"),
])  # fmt: skip
def test_the_many_ipv6_addresses_of_one_client_count_as_one(address, whole):
    assert household(address) == whole


# --- logs -----------------------------------------------------------------------------------------------------------
def logged(formatter, message, *arguments, **more):
    made = logging.LogRecord("x", logging.ERROR, "", 1, message, arguments, more.get("exc_info"))
    return formatter("%(levelname)s %(message)s").format(made)


@pytest.mark.parametrize("letter", ["\n", "\r", "\x1b", "\x85", "\u2028", "\x00", "\ud800"])
def test_nobody_writes_lines_into_the_log(letter):
    line = logged(OneLine, "Not Found: %s", f"/a{letter}ERROR forged")
    assert line == f"ERROR Not Found: /a{ascii(letter)[1:-1]}ERROR forged"


def test_a_faults_traceback_is_logged_and_that_of_a_malformed_request_is_not():
    fault = (ValueError, ValueError("broken"), None)
    assert logged(OneLine, "fault", exc_info=fault).splitlines() == ["ERROR fault", "ValueError: broken"]
    assert logged(Brief, "foreign host", exc_info=fault) == "ERROR foreign host"


def test_a_running_processes_log_does_not_grow_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "LOG_LIMIT", 100)
    log = tmp_path / "web.log"
    with log.open("a") as writer:
        print("old" * 100, file=writer, flush=True)
        processes.cut(log)
        print("new", file=writer, flush=True)
        processes.cut(log)
    assert log.read_text() == "new\n"
    assert log.with_name("web.log.1").read_text() == "old" * 100 + "\n"


# --- what one request may cost --------------------------------------------------------------------------------------
@pytest.mark.parametrize("text", ["#\n" * 100_000 + "}", 'a: "' + "\\n" * 100_000, "a: '" + "\\'" * 100_000])
def test_a_text_of_comments_or_escapes_takes_no_memory(text):
    tracemalloc = pytest.importorskip("tracemalloc")
    tracemalloc.start()
    with pytest.raises(BadNetwork):
        parse(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * len(text)


def test_a_string_may_have_some_escapes():
    assert parse('a: "' + "\\n" * 999 + '"').fields[0].value == "\n" * 999


@pytest.mark.parametrize("field", ["learning_rate"])
def test_a_chart_has_no_more_curves_than_a_form_makes_models(client, settings, field):
    settings.DIGITS_AUTH = "open"
    answer = client.post("/models/visualize-lr", {field: ",".join(f"{i}e-4" for i in range(1, 102))})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)
    assert client.post("/models/visualize-lr", {field: ",".join(f"{i}e-4" for i in range(1, 101))}).status_code == 200


# --- pages ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/", "/login", "/models/images/classification", "/admin/login/", "/api/docs"])
def test_no_page_has_a_script_of_its_own_nor_may_run_one(client, settings, db, path):
    settings.DIGITS_AUTH = "open"
    answer = client.get(path, headers={"Accept": "text/html"})
    assert "script-src 'self';" in answer.headers["Content-Security-Policy"]
    page = answer.content.decode()
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == re.findall(r"\son[a-z]+=", page) == []


# --- what one account may cost --------------------------------------------------------------------------------------
def test_a_user_has_only_so_many_jobs_waiting_and_an_operator_any_number(client, required, settings, digits_folder):
    settings.DIGITS_DATA_ROOTS, settings.DIGITS_MOST_WAITING = [digits_folder], 2
    form = {"dataset_name": "digits", "folder_train": str(digits_folder)}
    ugo, uma, olga = (token_of(account(*who)) for who in (("ugo", "user"), ("uma", "user"), ("olga", "operator")))
    create = "/datasets/images/classification.json"
    jobs = [client.post(create, form, headers=ugo).json()["job_id"] for _ in range(2)]
    refused = client.post(create, form, headers=ugo)
    assert (refused.status_code, refused.json()["error"]["type"]) == (429, "TooManyRequests")
    assert "2 jobs of yours are waiting" in refused.json()["error"]["description"]
    assert client.get(create, headers=ugo).status_code == 200
    assert client.post(create, form, headers=uma).status_code == 200
    assert [client.post(create, form, headers=olga).status_code for _ in range(3)] == [200] * 3
    client.post(f"/jobs/{jobs[0]}/abort", headers=ugo)
    assert client.post(create, form, headers=ugo).status_code == 200


def test_a_user_has_only_so_many_lists_under_way(rf, required):
    request, other = rf.post("/"), rf.post("/")
    request.user, other.user = account("vera", "viewer"), account("vito", "viewer")
    with throttling.one_of_few_lists(request), throttling.one_of_few_lists(request), throttling.one_of_few_lists(other):
        third = throttling.one_of_few_lists(request)
        with pytest.raises(Throttled, match="2 lists of yours"):
            third.__enter__()
    with throttling.one_of_few_lists(request), throttling.one_of_few_lists(request):
        """Those that ended don't count."""
