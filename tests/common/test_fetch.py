"""Downloads of images from URLs: only from public addresses, with limits of size and time."""

import ipaddress
import sys

import pytest

from digits_project.common.fetch import BadURL, FetchPolicy, fetch, is_public
from tests.support.applications.web_samples import CERTIFICATE, web_server

LOOPBACK = FetchPolicy(allowed=lambda address: address.is_loopback, ports=None, most_bytes=1 << 20, seconds=10)
SHORT_TIMEOUT = FetchPolicy(allowed=LOOPBACK.allowed, ports=None, seconds=0.3)
IMAGE = b"some bytes of an image" * 100


@pytest.fixture(scope="module")
def server():
    with web_server(IMAGE) as server:
        yield server


@pytest.fixture
def events():
    """Python's audit events of DNS look-ups and connections during a test, as (name, arguments).

    Python cannot remove an audit hook, so that clearing `recorded` stops this one.
    """
    events, recorded = [], ["socket.getaddrinfo", "socket.connect"]
    sys.addaudithook(lambda event, arguments: events.append((event, arguments)) if event in recorded else None)
    yield events
    recorded.clear()


def test_an_image_is_fetched_with_a_plain_get_request(server):
    assert fetch(f"{server.url}/image?name=Katze%20ü#top", LOOPBACK) == IMAGE
    path, headers = server.requests[-1]
    assert path == "/image?name=Katze%20%C3%BC"
    assert headers["Host"] == server.url.removeprefix("http://")
    assert headers["Accept-Encoding"] == "identity"
    assert "Cookie" not in headers


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",
        "0.1.2.3", "224.0.0.1", "240.0.0.1", "255.255.255.255", "198.18.0.1", "192.0.2.1", "::", "::1", "fe80::1",
        "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1",
        "2002:7f00:1::1", "2002:808:808::1", "2001::1", "100::1", "fec0::1", "4000::1",
    ],
)  # fmt: skip
def test_local_and_reserved_addresses_are_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_global_addresses_are_public(address):
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "0", "0.0.0.0",
        "10.0.0.1", "169.254.169.254", "2852039166", "localhost", "LOCALHOST", "localhost.", "①②⑦.⓪.⓪.①",
        "127。0。0。1",
        "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:a00:1]", "[fe80::1%25lo]",
        "[64:ff9b::127.0.0.1]", "no-such-host.invalid",
    ],
)  # fmt: skip
def test_the_default_policy_rejects_local_hosts_before_connecting(host, events):
    with pytest.raises(BadURL, match="No public internet address was found for the host"):
        fetch(f"http://{host}:8080/image")
    assert "socket.connect" not in [event for event, _ in events]


@pytest.mark.parametrize(
    "url, message",
    [
        ("ftp://127.0.0.1/x", "http://"),
        ("file:///etc/passwd", "http://"),
        ("gopher://127.0.0.1/", "http://"),
        ("http://", "name a host"),
        ("http:///etc/passwd", "name a host"),
        ("http://user@127.0.0.1/", "user name"),
        ("http://user:password@127.0.0.1/", "user name"),
        ("http://8.8.8.8@127.0.0.1/", "user name"),
        ("http://8.8.8.8\\@127.0.0.1/", "backslashes"),
        ("http://127.0.0.1/\r\nHost: x", "blanks"),
        ("http://127.0.0.1/a b", "blanks"),
        ("http://127.0.0.1:22/", "not 22"),
        ("http://127.0.0.1:6379/", "not 6379"),
        ("http://127.0.0.1:0/", "not 0\\."),
        ("http://127.0.0.1:99999/", "not a URL"),
        ("http://127.0.0.1:x/", "not a URL"),
        ("http://[::1/", "not a URL"),
        ("http://a..b/", "not a URL"),
        ("http://127.0.0.1/" + "x" * 5000, "4096 letters"),
    ],
)
def test_an_invalid_url_is_rejected(url, message):
    with pytest.raises(BadURL, match=message):
        fetch(url)


def test_a_host_name_is_resolved_once_and_only_these_addresses_are_used(server, events):
    assert fetch(server.url.replace("127.0.0.1", "localhost") + "/image", LOOPBACK) == IMAGE
    assert [event for event, _ in events].count("socket.getaddrinfo") == 1
    connected = {arguments[1][0] for event, arguments in events if event == "socket.connect"}
    assert connected <= {"127.0.0.1", "::1"}


def test_a_host_name_with_a_forbidden_address_is_rejected():
    with pytest.raises(BadURL, match="No public internet address"):
        fetch("http://localhost/image", FetchPolicy(allowed=lambda address: False, ports=None))


def test_at_most_three_redirects_are_followed(server):
    assert fetch(f"{server.url}/again?left=2", LOOPBACK) == IMAGE
    with pytest.raises(BadURL, match="more than 3 times"):
        fetch(f"{server.url}/again?left=3", LOOPBACK)


@pytest.mark.parametrize(
    "target, message",
    [
        ("http://169.254.169.254/latest/meta-data/", "No public internet address"),
        ("//10.0.0.1/", "No public internet address"),
        ("http://[fe80::1]/", "No public internet address"),
        ("file:///etc/passwd", "http://"),
        ("http://user@localhost/", "user name"),
        ("ftp://localhost/", "http://"),
    ],
)
def test_the_target_of_a_redirect_is_checked_like_any_url(server, target, message):
    with pytest.raises(BadURL, match=message):
        fetch(f"{server.url}/redirect?to={target}", LOOPBACK)


def test_the_port_of_a_redirect_is_checked(server):
    ports = frozenset({server.server_port})
    with pytest.raises(BadURL, match="not 22"):
        fetch(f"{server.url}/redirect?to=http://127.0.0.1:22/", FetchPolicy(allowed=LOOPBACK.allowed, ports=ports))


@pytest.mark.parametrize(
    "path, message",
    [
        ("endless", "more than 1 MiB"),
        ("chunked", "more than 1 MiB"),
        ("announced", "more than 1 MiB"),
        ("compressed", "compressed"),
        ("truncated", "ended before the whole file had arrived"),
        ("headers", "got more than 100 headers"),
        ("garbage", "Nothing could be fetched"),
        ("missing", "returned 404"),
    ],
)
def test_an_invalid_response_is_rejected(server, path, message):
    with pytest.raises(BadURL, match=message):
        fetch(f"{server.url}/{path}", LOOPBACK)


@pytest.mark.parametrize("path", ["trickle", "header_trickle", "silence"])
def test_a_server_that_sends_too_slowly_causes_a_timeout(server, path):
    with pytest.raises(BadURL, match=r"took more than 0\.3 seconds"):
        fetch(f"{server.url}/{path}", SHORT_TIMEOUT)


def test_a_refused_connection_is_reported(server):
    with web_server() as stopped:
        url = stopped.url
    with pytest.raises(BadURL, match="Connection refused"):
        fetch(f"{url}/image", LOOPBACK)


def test_proxies_from_the_environment_are_ignored(server, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1/")
    assert fetch(f"{server.url}/image", LOOPBACK) == IMAGE


@pytest.fixture
def certificate(tmp_path):
    path = tmp_path / "certificate.pem"
    path.write_text(CERTIFICATE)
    return path


def test_the_tls_certificate_is_checked_against_the_host_name(certificate, monkeypatch):
    with web_server(IMAGE, certificate) as server:
        with pytest.raises(BadURL, match="certificate verify failed"):
            fetch(f"{server.url}/image", LOOPBACK)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert fetch(f"{server.url}/image", LOOPBACK) == IMAGE
        with pytest.raises(BadURL, match=r"certificate is not valid for '127\.0\.0\.1'"):
            fetch(f"{server.url.replace('localhost', '127.0.0.1')}/image", LOOPBACK)
