"""Limits of a body's size and encoding, decided from a request's head, on a server with accounts."""

import http.client
import socket
from encodings.aliases import aliases
from types import SimpleNamespace

import pytest
from django.conf import settings
from django.test import Client

from digits_project.api.uploads import MAX_ANONYMOUS_BODY
from digits_project.server import admission
from tests.support.api_requests import make_account, token_header
from tests.support.webserver import digits_server

pytestmark = pytest.mark.django_db(transaction=True)
CLASSIFY = "/models/images/classification/classify_one.json"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json; charset=utf-8"
LARGE = 300_000
ACCEPTED = {"utf_8", "ascii"}
CODECS = sorted({*aliases.values(), "idna", "punycode", "raw_unicode_escape", "unicode_escape", "undefined"} - ACCEPTED)


@pytest.fixture(scope="module")
def port(django_db_setup):
    with digits_server() as (_, port):
        yield port


@pytest.fixture
def send(port):
    """A function that posts over one connection and returns (status, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)

    def send(path, body, headers=(), content_type=FORM, chunked=False):
        connection.request("POST", path, body, {"Content-Type": content_type, **dict(headers)}, encode_chunked=chunked)
        response = connection.getresponse()
        return response.status, response.read().decode()

    yield send
    connection.close()


@pytest.fixture
def ada(db):
    return make_account("ada", "viewer")


def session_of(user):
    client = Client()
    client.force_login(user)
    return {"Cookie": f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"}


NOT_LOGGED_IN = [{}, {"Authorization": "Token digits_no"}, {"Authorization": "Basic YTpi"}, {"Cookie": "sessionid=no"}]


@pytest.mark.parametrize("headers", NOT_LOGGED_IN)
@pytest.mark.parametrize("path", [CLASSIFY, "//datasets/images/classification.json", "/no/such/route", "/jobs/1"])
def test_a_client_without_a_login_cannot_send_more_than_a_login_form(send, headers, path):
    status, body = send(path, b"x" * (MAX_ANONYMOUS_BODY + 1), headers)
    assert (status, "Log in first" in body) == (401, True)


@pytest.mark.parametrize("headers", NOT_LOGGED_IN)
def test_a_client_without_a_login_gets_no_100_continue_for_a_large_body(port, headers):
    lines = [f"POST {CLASSIFY} HTTP/1.1", "Host: localhost", f"Content-Length: {LARGE}", "Expect: 100-continue"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 401 ")


def test_a_chunked_login_form_has_the_same_limit(send):
    assert send("/login.json", iter([b"x" * 10_000] * 4), {"Transfer-Encoding": "chunked"}, chunked=True)[0] == 413


def test_a_small_body_without_a_login_reaches_the_view(send):
    status, body = send(CLASSIFY, b"job_id=" + b"1" * 20_000)
    assert (status, "Log in first" in body) == (401, False)


def test_a_client_with_a_token_or_a_session_can_send_more(send, ada):
    for credentials in (token_header(ada), session_of(ada)):
        assert send(CLASSIFY, b"job_id=" + b"1" * LARGE, credentials)[0] == 404
        chunked = credentials | {"Transfer-Encoding": "chunked"}
        assert send(CLASSIFY, iter([b"job_id=", b"1" * LARGE]), chunked, chunked=True)[0] == 404


def test_a_token_of_an_inactive_account_counts_as_no_login(send, ada):
    credentials = token_header(ada)
    ada.is_active = False
    ada.save(update_fields=["is_active"])
    assert send(CLASSIFY, b"x" * LARGE, credentials)[0] == 401


def test_a_form_that_is_too_large_is_refused_with_a_login_too(send, ada):
    body = (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1) * b"x"
    assert send(CLASSIFY, body, token_header(ada), JSON)[0] == 413


def test_charsets_other_than_utf_8_are_refused(send):
    types = [kind.format(name) for name in CODECS for kind in (FORM + "; charset={}", 'application/json; charset="{}"')]
    responses = {
        (path, kind): send(path, b"{}", content_type=kind) for kind in types for path in ("/login.json", CLASSIFY)
    }
    assert {request: found for request, found in responses.items() if found[0] != 400 or "UTF-8" not in found[1]} == {}


def test_utf_8_is_accepted_under_its_other_names(send):
    types = [f"{FORM}; charset={name}" for name in ("utf-8", "UTF-8", '"utf-8"', "utf8", "us-ascii")]
    assert [send("/login.json", b"username=ada&password=x", content_type=kind)[0] for kind in types] == [401] * 5


PARTS = ["name*=no-such''a", "name*=punycode''a", "name=a; filename*=no-such''b", "name=a; filename*=punycode''%ff"]


@pytest.mark.parametrize("disposition", PARTS)
def test_a_part_of_a_form_with_an_encoded_header_is_a_bad_request(send, ada, disposition):
    body = f"--x\r\nContent-Disposition: form-data; {disposition}\r\n\r\nvalue\r\n--x--\r\n".encode()
    for path in ("/login.json", CLASSIFY):
        credentials = token_header(make_account(path[1:4], "viewer"))
        assert send(path, body, credentials, "multipart/form-data; boundary=x")[0] == 400


@pytest.mark.parametrize(
    "value", ["text/plain; x*=no-such''a", f"{FORM}; charset*=no-such''utf-8", "a/b; c*=punycode''d"]
)
def test_an_encoded_header_is_no_server_error(send, value):
    assert send("/login.json", b"username=ada", content_type=value)[0] == 400
    assert send("/login.json", b"username=ada", {"Accept": value})[0] < 500


def head(path="/jobs/1", **headers):
    return SimpleNamespace(
        path=path, headers=[(name.upper().replace("_", "-"), value) for name, value in headers.items()]
    )


def shares(address, forwarded_for=None):
    headers = {"x_forwarded_for": forwarded_for} if forwarded_for else {}
    return admission.Admission().caller(head(**headers), address).shares


@pytest.mark.parametrize("address", ["127.0.0.1", "::/64", ""])
def test_an_open_server_gives_each_local_address_one_share(open_server, address):
    caller = admission.Admission().caller(head(), address)
    assert (caller.key, caller.shares, caller.logged_in) == (f"address {address}", (f"address {address}",), True)


def test_an_open_server_gives_other_machines_one_share_together(open_server, settings):
    settings.DIGITS_HTTPS = False
    assert shares("192.0.2.1") == ("address 192.0.2.1", "strangers")
    assert shares("127.0.0.1", "192.0.2.1") == ("address 127.0.0.1", "strangers")
    settings.DIGITS_HTTPS = True
    assert shares("127.0.0.1", "198.51.100.1, 192.0.2.1") == ("address 192.0.2.1", "strangers")


def test_a_session_behind_a_proxy_is_looked_up_for_the_forwarded_address(settings):
    settings.DIGITS_HTTPS = True
    sender = admission.Admission().sender(head(x_forwarded_for="198.51.100.1, 192.0.2.1"), "127.0.0.1")
    assert (sender.key, sender.shares) == ("address 192.0.2.1", ())


def test_an_open_server_refuses_large_bodies_of_other_machines(open_server):
    gate = admission.Admission()
    upload = head("/datasets/images/x", content_type="multipart/form-data; boundary=x")
    terms = gate.terms(upload, gate.caller(upload, "192.0.2.1"))
    assert (terms.limit, terms.too_large[0]) == (MAX_ANONYMOUS_BODY, 403)
    assert gate.terms(upload, gate.caller(upload, "127.0.0.1")).limit == settings.DIGITS_MAX_UPLOAD << 20


def test_the_terms_of_a_path_do_not_depend_on_prefix_slashes_or_encoding(settings):
    settings.DIGITS_URL_PREFIX, settings.DIGITS_MAX_UPLOAD = "/lab", 100
    gate, known = admission.Admission(), SimpleNamespace(logged_in=True)

    def terms(path):
        headers = [("CONTENT-TYPE", "multipart/form-data; boundary=x")]
        return gate.terms(SimpleNamespace(path=path, headers=headers), known)

    files = ["/datasets/images/x", "//datasets/images/x", "/lab/datasets/images/x", "//lab/models/images/x"]
    assert {terms(path).limit for path in files} == {100 << 20}
    assert {terms(path).limit for path in ("/login", "//login.json", "/lab/login", "/lo%67in")} == {MAX_ANONYMOUS_BODY}
    assert [terms(path).lane for path in ("/lab/healthz", "//readyz", "/models/1/download.zip", "/jobs/1")] == [
        "healthz", "readyz", "downloads", "requests"
    ]  # fmt: skip
