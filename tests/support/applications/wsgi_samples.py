"""Small WSGI applications, and web workers with one thread and short timeouts, long ones or little room."""

import hashlib
import itertools
import os
from pathlib import Path

from digits_project.server import fair_share, poll_cache
from digits_project.server.connection import OpenAdmission, Terms
from digits_project.server.gunicorn_worker import WebWorker
from digits_project.server.response_writer import Client

LARGE = 16 << 20  # bytes; more than the kernel buffers between the two ends of a connection

numbers = itertools.count(1)
paths = []


class HastyClient(Client):
    send_within = 0.5
    min_pace = 8 << 20
    spool_after = 0.1


class HastyWorker(WebWorker):
    client = HastyClient
    arrive_within = 1.0
    linger_within = 0.5


class LenientClient(Client):
    send_within = 600.0
    spool_after = 0.1


class LenientWorker(WebWorker):
    client = LenientClient
    max_spooled = 3


class CrampedWorker(WebWorker):
    """Takes eight connections from an address, and three requests of a caller that wait for its thread."""

    max_by_address = 8
    patient_within = 0.0

    def init_process(self):
        fair_share.MAX_WAITING = fair_share.MIN_WAITING = 3
        super().init_process()


class LongCacheWorker(WebWorker):
    """Keeps cached responses to polls fresh for longer than a test takes."""

    def init_process(self):
        poll_cache.FRESH_SECONDS = 600.0
        super().init_process()


def digesting(environ, start_response):
    """Responds to /large with LARGE bytes, to other paths with the digest of the body."""
    body = environ["wsgi.input"].read()
    return _ok(start_response, bytes(LARGE) if environ["PATH_INFO"] == "/large" else _digest(body).encode())


def numbering(environ, start_response):
    """Responds with the number of this response: 1, 2, …"""
    environ["wsgi.input"].read()
    return _ok(start_response, b"%d" % next(numbers))


def holding(environ, start_response):
    """Responds with the number of requests for / that a thread has started.

    A request for /hold blocks its thread until the named pipe in its query is opened for writing.
    """
    if environ["PATH_INFO"] == "/hold":
        Path(environ["QUERY_STRING"]).read_bytes()
    paths.append(environ["PATH_INFO"])
    start_response("200 OK", [("Connection", "close")])
    return [b"%d" % paths.count("/")]


class SmallBodies(OpenAdmission):
    """Accepts bodies of at most 100,000 bytes."""

    def terms(self, request, caller):
        return Terms(limit=100_000, too_large=(413, "too large"))


class Limited:
    """Responds with the length and the digest of a body, or with the status of its refusal."""

    admission = SmallBodies()

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read()
        refused = environ["wsgi.input"].refused
        content = f"refused {refused[0]}" if refused else f"{environ['CONTENT_LENGTH']} {_digest(body)}"
        return _ok(start_response, content.encode())


limited = Limited()


def _digest(body):
    return hashlib.sha256(body).hexdigest()


def _ok(start_response, content):
    start_response("200 OK", [("Content-Length", str(len(content)))])
    return [content]


def naming_its_process(environ, start_response):
    """Responds with the number of its process; to /hold?PATH when a pipe's writer is done."""
    if environ["PATH_INFO"] == "/hold":
        Path(environ["QUERY_STRING"]).read_bytes()
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
