"""Who may send how much, and in which encoding: decided by a request's head, against a server with accounts."""

import http.client
import socket
from encodings.aliases import aliases
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.test import Client

from digits_project.api.uploads import MAX_STRANGERS_BODY
from digits_project.server import admission
from tests.support.api_requests import make_account, token_header
from tests.support.webserver import digits_server

pytestmark = pytest.mark.django_db(transaction=True)
CLASSIFY = "/models/images/classification/classify_one.json"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json; charset=utf-8"
LARGE = 300_000
OURS = {"utf_8", "ascii"}
CODECS = sorted({*aliases.values(), "idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined"} - OURS)


@pytest.fixture(scope="module")
def port(django_db_setup):
    with digits_server() as (_, port):
        yield port


@pytest.fixture
def ask(port):
    """Answers over one connection; (status, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def ask(path, body, headers=(), content_type=FORM, chunked=False):
        connection.request("POST", path, body, {"Content-Type": content_type, **dict(headers)}, encode_chunked=chunked)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    yield ask
    connection.close()


@pytest.fixture
def ada(db):
    return make_account("ada", "viewer")


def session_of(user):
    client = Client()
    client.force_login(user)
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}


STRANGERS = [{}, {"Authorization": "Token digits_no"}, {"Authorization": "Basic YTpi"}, {"Cookie": "sessionid=no"}]


@pytest.mark.parametrize("headers", STRANGERS)
@pytest.mark.parametrize("path", [CLASSIFY, "//datasets/images/classification.json", "/no/such/route", "/jobs/1"])
def test_who_has_not_logged_in_sends_no_more_than_a_login_form(ask, headers, path):
    status, body = ask(path, b"x" * (MAX_STRANGERS_BODY + 1), headers)
    assert (status, "Log in first" in body) == (401, True)


@pytest.mark.parametrize("headers", STRANGERS)
def test_a_stranger_is_not_asked_to_send_what_will_be_refused(port, headers):
    lines = [f"POST {CLASSIFY} HTTP/1.1", "Host: localhost", f"Content-Length: {LARGE}", "Expect: 100-continue"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 401 ")


def test_a_login_form_has_the_same_limit_in_chunks(ask):
    assert ask("/login.json", iter([b"x" * 10_000] * 4), {"Transfer-Encoding": "chunked"}, chunked=True)[0] == 413


def test_what_a_stranger_may_send_reaches_the_view(ask):
    status, body = ask(CLASSIFY, b"job_id=" + b"1" * 20_000)
    assert (status, "Log in first" in body) == (401, False)


def test_who_has_a_token_or_a_session_may_send_more(ask, ada):
    for credentials in (token_header(ada), session_of(ada)):
        assert ask(CLASSIFY, b"job_id=" + b"1" * LARGE, credentials)[0] == 404
        chunked = credentials | {"Transfer-Encoding": "chunked"}
        assert ask(CLASSIFY, iter([b"job_id=", b"1" * LARGE]), chunked, chunked=True)[0] == 404


def test_whose_account_is_switched_off_is_a_stranger(ask, ada):
    credentials = token_header(ada)
    ada.is_active = False
    ada.save(update_fields=["is_active"])
    assert ask(CLASSIFY, b"x" * LARGE, credentials)[0] == 401


def test_more_than_a_form_takes_is_refused_to_who_has_logged_in_too(ask, ada):
    length = (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1) * b"x"
    assert ask(CLASSIFY, length, token_header(ada), JSON)[0] == 413


def test_only_utf_8_is_decoded(ask):
    types = [kind.format(name) for name in CODECS for kind in (FORM + "; charset={}", 'application/json; charset="{}"')]
    answers = {
        (path, kind): ask(path, b"{}", content_type=kind) for kind in types for path in ("/login.json", CLASSIFY)
    }
    assert {asked: said for asked, said in answers.items() if said[0] != 400 or "UTF-8" not in said[1]} == {}


def test_utf_8_has_several_names(ask):
    types = [f"{FORM}; charset={name}" for name in ("utf-8", "UTF-8", '"utf-8"', "utf8", "us-ascii")]
    assert [ask("/login.json", b"username=ada&password=x", content_type=kind)[0] for kind in types] == [401] * 5


PARTS = ["name*=no-such''a", "name*=punycode''a", "name=a; filename*=no-such''b", "name=a; filename*=punycode''%ff"]


@pytest.mark.parametrize("disposition", PARTS)
def test_a_part_of_a_form_in_an_encoding_of_its_own_is_the_clients_fault(ask, ada, disposition):
    body = f"--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\nvalue\r\n--x--\r\n".encode()
    for path in ("/login.json", CLASSIFY):
        assert (
            ask(path, body, token_header(make_account(path[1:4], "viewer")), "multipart/form-data; boundary=x")[0]
            == 400
        )


@pytest.mark.parametrize(
    "value", ["text/plain; x*=no-such''a", f"{FORM}; charset*=no-such''utf-8", "a/b; c*=punycode''d"]
)
def test_a_header_in_an_encoding_of_its_own_fails_nothing(ask, value):
    assert ask("/login.json", b"username=ada", content_type=value)[0] == 400
    assert ask("/login.json", b"username=ada", {"Accept": value})[0] < 500


def head(path="/jobs/1", **headers):
    return SimpleNamespace(
        path=path, headers=[(name.upper().replace("_", "-"), told) for name, told in headers.items()]
    )


def shares(address, told=None):
    return admission.Admission().caller(head(**({"x_forwarded_for": told} if told else {})), address).shares


@pytest.mark.parametrize("address", ["127.0.0.1", "::/64", ""])
def test_on_an_open_server_an_address_has_at_most_its_share(open_server, address):
    caller = admission.Admission().caller(head(), address)
    assert (caller.key, caller.shares, caller.logged_in) == (f"address {address}", (f"address {address}",), True)


def test_on_an_open_server_other_machines_are_strangers_who_share(open_server, settings):
    settings.DIGITS_HTTPS = False
    assert shares("192.0.2.1") == ("address 192.0.2.1", "strangers")
    assert shares("127.0.0.1", "192.0.2.1") == ("address 127.0.0.1", "strangers")
    settings.DIGITS_HTTPS = True
    assert shares("127.0.0.1", "198.51.100.1, 192.0.2.1") == ("address 192.0.2.1", "strangers")


def test_behind_a_proxy_a_session_is_looked_up_for_the_forwarded_address(settings):
    settings.DIGITS_HTTPS = True
    sender = admission.Admission().sender(head(x_forwarded_for="198.51.100.1, 192.0.2.1"), "127.0.0.1")
    assert (sender.key, sender.shares) == ("address 192.0.2.1", ())


def test_on_an_open_server_other_machines_send_no_large_bodies(open_server):
    door = admission.Admission()
    upload = head("/datasets/images/x", content_type="multipart/form-data; boundary=x")
    terms = door.terms(upload, door.caller(upload, "192.0.2.1"))
    assert (terms.limit, terms.too_large[0]) == (MAX_STRANGERS_BODY, 403)
    assert door.terms(upload, door.caller(upload, "127.0.0.1")).limit == settings.DIGITS_MAX_UPLOAD << 20


def test_a_requests_path_is_read_as_the_views_read_it(settings):
    settings.DIGITS_URL_PREFIX, settings.DIGITS_MAX_UPLOAD = "/lab", 100
    door, known = admission.Admission(), SimpleNamespace(logged_in=True)

    def terms(path):
        headers = [("CONTENT-TYPE", "multipart/form-data; boundary=x")]
        return door.terms(SimpleNamespace(path=path, headers=headers), known)

    files = ["/datasets/images/x", "//datasets/images/x", "/lab/datasets/images/x", "//lab/models/images/x"]
    assert {terms(path).limit for path in files} == {100 << 20}
    assert {terms(path).limit for path in ("/login", "//login.json", "/lab/login", "/lo%67in")} == {MAX_STRANGERS_BODY}
    assert [terms(path).lane for path in ("/lab/healthz", "//readyz", "/models/1/download.zip", "/jobs/1")] == [
        "healthz", "readyz", "downloads", "requests"
    ]  # fmt: skip
