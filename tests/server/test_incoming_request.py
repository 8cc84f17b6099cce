"""Requests as they arrive: bodies in chunks, lengths, and clients that ask first; on a web server of one thread."""

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
    """Of a server that takes bodies of 100,000 bytes from anybody."""
    with gunicorn_server(
        "digits_project.server.gunicorn_worker.WebWorker", "tests.support.applications.wsgi_samples:limited"
    ) as (_, port):
        yield port


def ask(port, *pieces):
    """Everything that the server sends until it hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in pieces:
                connection.sendall(piece)
        return read_until_close(connection)


def in_chunks(body, size):
    pieces = (body[at : at + size] for at in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def status(answer):
    return int(answer.split()[1])


def digest(body):
    return hashlib.sha256(body).hexdigest().encode()


def taken(data, at_once):
    """The content of a body in chunks that arrives in pieces of that size, and what was not its own."""
    chunks, buffer, content = Chunks(), bytearray(), b""
    for at in range(0, len(data), at_once):
        buffer += data[at : at + at_once]
        content += chunks.take(buffer)
    assert chunks.done
    return content, bytes(buffer)


@pytest.mark.parametrize("at_once", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("size", [1, 5, 4096])
def test_a_body_in_chunks_is_put_together_however_it_is_cut(at_once, size):
    body = os.urandom(99)
    assert taken(in_chunks(body, size), at_once) == (body, b"")


@pytest.mark.parametrize("written, content", [
    (b"0\r\n\r\n", b""), (b"3;a=b;c=\"d\"\r\nabc\r\n0\r\n\r\n", b"abc"), (b"0003\r\nabc\r\n000\r\n\r\n", b"abc"),
    (b"3\r\nabc\r\n0\r\nDigest: x\r\nY: z\r\n\r\n", b"abc"), (b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
])  # fmt: skip
def test_extensions_and_trailers_are_no_content(written, content):
    assert taken(written, 1) == (content, b"")


def test_what_follows_a_body_in_chunks_is_the_next_request():
    assert taken(b"1\r\na\r\n0\r\n\r\nGET /", 100) == (b"a", b"GET /")


@pytest.mark.parametrize("written, fault", [
    (b"x\r\n", InvalidChunkSize), (b"-1\r\n", InvalidChunkSize), (b"\r\n", InvalidChunkSize),
    (b"0x3\r\n", InvalidChunkSize),
    (b"3 \n\r\n", InvalidChunkSize), (b"11111111111111111\r\n", InvalidChunkSize), (b"3;=\r\n", InvalidChunkExtension),
    (b"3\r\nabcd\r\n", ChunkMissingTerminator), (b"3\r\nabc\n\n", ChunkMissingTerminator),
    (b"1" * (MAX_CHUNK_LINE + 1), InvalidChunkSize),
    (b"0\r\n" + b"X: yyyyyyy\r\n" * (MAX_TRAILERS // 8), LimitRequestHeaders),
])  # fmt: skip
def test_what_is_no_body_in_chunks_is_refused(written, fault):
    with pytest.raises(fault):
        Chunks().take(bytearray(written))


@pytest.mark.parametrize("size", [0, 1, IN_MEMORY + 1, 100_000])
def test_a_body_in_chunks_reaches_the_application_whole_and_with_its_length(port, size):
    body = os.urandom(size)
    assert ask(port, CHUNKED, in_chunks(body, 8191)).endswith(b"\r\n\r\n%d " % size + digest(body))


def test_a_body_in_chunks_has_the_same_limit_as_another(port):
    body = bytes(100_001)
    assert ask(port, CHUNKED, in_chunks(body, 8191)).endswith(b"refused 413")
    assert ask(port, POST + b"Content-Length: 100001\r\n\r\n", body).endswith(b"refused 413")


def test_a_body_without_end_is_refused_at_its_limit(port):
    assert ask(port, CHUNKED, *[b"1000\r\n" + bytes(4096) + b"\r\n"] * 1000).endswith(b"refused 413")


@pytest.mark.parametrize("head, wanted", [
    (b"Transfer-Encoding: gzip, chunked\r\n", 501), (b"Transfer-Encoding: identity\r\n", 400),
    (b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", 400), (b"Transfer-Encoding: chunked, chunked\r\n", 400),
    (b"Content-Length: 3\r\nContent-Length: 3\r\n", 400), (b"Content-Length: +3\r\n", 400),
    (b"Content-Length: 3, 3\r\n", 400), (b"Content-Length: 0x3\r\n", 400), (b"Content-Length: \xb2\r\n", 400),
    (b"Content-Length: " + b"9" * 5000 + b"\r\n", 400), (b"X: " + b"y" * 9000 + b"\r\n", 431), (b"X\r\n", 400),
])  # fmt: skip
def test_a_head_that_could_be_read_in_two_ways_is_refused(port, head, wanted):
    assert status(ask(port, POST + head + b"\r\n", b"abc")) == wanted


@pytest.mark.parametrize("length", [b"3", b"03", b"0" * 1000 + b"3"])
def test_a_length_with_leading_zeros_means_the_same_to_everybody(port, length):
    assert ask(port, POST + b"Content-Length: %s\r\n\r\n" % length, b"abc").endswith(b"\r\n\r\n3 " + digest(b"abc"))


@pytest.mark.parametrize("framing, body", [
    (b"Content-Length: 3\r\n", b"abc"), (b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
])  # fmt: skip
def test_who_asks_whether_to_send_is_answered_once(port, framing, body):
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(POST + framing + b"Expect: 100-Continue\r\n\r\n")
        assert connection.recv(1000) == CONTINUE
        connection.sendall(body)
        answer = read_until_close(connection)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert CONTINUE not in answer


def test_who_sends_without_waiting_for_the_answer_gets_none(port):
    answer = ask(port, POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")


def test_who_asks_whether_to_send_too_much_is_told_not_to(port):
    answer = ask(port, POST + b"Expect: 100-continue\r\nContent-Length: 100001\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"refused 413")


def test_requests_that_are_sent_at_once_are_answered_one_after_another(port):
    head = b"POST / HTTP/1.1\r\nHost: x\r\n"
    first = head + b"Content-Length: 3\r\n\r\none"
    second = head + b"Transfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n"
    answer = ask(port, first + second + POST + b"Content-Length: 5\r\n\r\nthree")
    assert [answer.find(digest(word)) > 0 for word in (b"one", b"two", b"three")] == [True] * 3
    assert answer.count(b"HTTP/1.1 200 OK") == 3
