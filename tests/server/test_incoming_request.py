"""Reading requests: chunked bodies, lengths, and Expect: 100-continue; on a web server of one thread."""

import contextlib
import hashlib
import os
import socket

import pytest
from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkExtension, InvalidChunkSize, LimitRequestHeaders

from digits_project.server.incoming_request import IN_MEMORY, MAX_CHUNK_LINE, MAX_TRAILERS, Chunks
from tests.support.webserver import gunicorn_server, read_until_close

POST = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
SECONDS = 20


@pytest.fixture(scope="module")
def port():
    """The port of a server that accepts bodies of 100,000 bytes from all clients."""
    with gunicorn_server(
        "digits_project.server.gunicorn_worker.WebWorker", "tests.support.applications.wsgi_samples:limited"
    ) as (_, port):
        yield port


def exchange(port, *pieces):
    """Send these pieces; return all bytes that the server sends until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                connection.sendall(piece)
        return read_until_close(connection)


def in_chunks(body, size):
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def status(response):
    return int(response.split()[1])


def digest(body):
    return hashlib.sha256(body).hexdigest().encode()


def read_chunks(data, step):
    """Read a chunked body that arrives `step` bytes at a time; return its content and the bytes behind it."""
    chunks, buffer, content = Chunks(), bytearray(), b""
    for at in range(0, len(data), step):
        buffer += data[at : at + step]
        content += chunks.take(buffer)
    assert chunks.done
    return content, bytes(buffer)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("size", [1, 5, 4096])
def test_a_chunked_body_is_assembled_from_pieces_of_any_size(step, size):
    body = os.urandom(99)
    assert read_chunks(in_chunks(body, size), step) == (body, b"")


@pytest.mark.parametrize("encoded, content", [
    (b"0\r\n\r\n", b""), (b"3;a=b;c=\"d\"\r\nabc\r\n0\r\n\r\n", b"abc"), (b"0003\r\nabc\r\n000\r\n\r\n", b"abc"),
    (b"3\r\nabc\r\n0\r\nDigest: x\r\nY: z\r\n\r\n", b"abc"), (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
])  # fmt: skip
def test_chunk_extensions_and_trailers_are_not_part_of_the_content(encoded, content):
    assert read_chunks(encoded, 1) == (content, b"")


def test_bytes_behind_a_chunked_body_belong_to_the_next_request():
    assert read_chunks(b"1\r\na\r\n0\r\n\r\nGET /", 100) == (b"a", b"GET /")


@pytest.mark.parametrize("encoded, exception", [
    (b"x\r\n", InvalidChunkSize), (b"-1\r\n", InvalidChunkSize), (b"\r\n", InvalidChunkSize),
    (b"0x3\r\n", InvalidChunkSize),
    (b"3 \n\r\n", InvalidChunkSize), (b"11111111111111111\r\n", InvalidChunkSize), (b"3;=\r\n", InvalidChunkExtension),
    (b"3\r\nabcd\r\n", ChunkMissingTerminator), (b"3\r\nabc\n\n", ChunkMissingTerminator),
    (b"1" * (MAX_CHUNK_LINE + 1), InvalidChunkSize),
    (b"0\r\n" + b"X: yyyyyyy\r\n" * (MAX_TRAILERS // 8), LimitRequestHeaders),
])  # fmt: skip
def test_an_invalid_chunked_body_is_refused(encoded, exception):
    with pytest.raises(exception):
        Chunks().take(bytearray(encoded))


@pytest.mark.parametrize("size", [0, 1, IN_MEMORY + 1, 100_000])
def test_a_chunked_body_reaches_the_application_whole_and_with_its_length(port, size):
    body = os.urandom(size)
    assert exchange(port, CHUNKED, in_chunks(body, 8191)).endswith(b"\r\n\r\n%d " % size + digest(body))


def test_a_chunked_body_has_the_same_limit_as_one_with_a_length(port):
    body = bytes(100_001)
    assert exchange(port, CHUNKED, in_chunks(body, 8191)).endswith(b"refused 413")
    assert exchange(port, POST + b"Content-Length: 100001\r\n\r\n", body).endswith(b"refused 413")


def test_an_endless_chunked_body_is_refused_at_the_limit(port):
    assert exchange(port, CHUNKED, *[b"1000\r\n" + bytes(4096) + b"\r\n"] * 1000).endswith(b"refused 413")


@pytest.mark.parametrize("head, expected", [
    (b"Transfer-Encoding: gzip, chunked\r\n", 501), (b"Transfer-Encoding: identity\r\n", 400),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400), (b"Transfer-Encoding: chunked, chunked\r\n", 400),
    (b"Content-Length: 3\r\nContent-Length: 3\r\n", 400), (b"Content-Length: +3\r\n", 400),
    (b"Content-Length: 3, 3\r\n", 400), (b"Content-Length: 0x3\r\n", 400), (b"Content-Length: \xb2\r\n", 400),
    (b"Content-Length: " + b"9" * 5000 + b"\r\n", 400), (b"X: " + b"y" * 9000 + b"\r\n", 431), (b"X\r\n", 400),
])  # fmt: skip
def test_an_ambiguous_head_is_refused(port, head, expected):
    assert status(exchange(port, POST + head + b"\r\n", b"abc")) == expected


@pytest.mark.parametrize("length", [b"3", b"03", b"0" * 1000 + b"3"])
def test_leading_zeros_of_a_length_are_ignored(port, length):
    assert exchange(port, POST + b"Content-Length: %s\r\n\r\n" % length, b"abc").endswith(
        b"\r\n\r\n3 " + digest(b"abc")
    )


@pytest.mark.parametrize("framing, body", [
    (b"Content-Length: 3\r\n", b"abc"), (b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
])  # fmt: skip
def test_a_client_that_expects_100_continue_gets_it_once(port, framing, body):
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(POST + framing + b"Expect: 100-Continue\r\n\r\n")
        assert connection.recv(1000) == CONTINUE
        connection.sendall(body)
        response = read_until_close(connection)
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert CONTINUE not in response


def test_a_client_that_sends_its_body_at_once_gets_no_100_continue(port):
    response = exchange(port, POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_client_that_announces_too_large_a_body_gets_no_100_continue(port):
    response = exchange(port, POST + b"Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n")
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert response.endswith(b"refused 413")


def test_pipelined_requests_get_their_responses_in_order(port):
    head = b"POST / HTTP/1.1\r\nHost: x\r\n"
    first = head + b"Content-Length: 3\r\n\r\none"
    second = head + b"Transfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
    response = exchange(port, first + second + POST + b"Content-Length: 5\r\n\r\nthree")
    assert [response.find(digest(word)) > 0 for word in (b"one", b"two", b"three")] == [True] * 3
    assert response.count(b"HTTP/1.1 200 OK") == 3
