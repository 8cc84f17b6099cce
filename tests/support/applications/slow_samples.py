"""A small application under the web server's worker, with one thread and short timeouts."""

import hashlib
from pathlib import Path

from digits_project.server import fair_share
from digits_project.server.connection import Anybody, Terms
from digits_project.server.gunicorn_worker import WebWorker
from digits_project.server.response_writer import Client

LARGE = 16 << 20  # bytes; more than lie between two ends of a connection


class Hasty(Client):
    send_within = 0.5
    min_pace = 8 << 20
    spool_after = 0.1


class HastyWorker(WebWorker):
    client = Hasty
    arrive_within = 1.0
    linger_within = 0.5


class Lenient(Client):
    send_within = 600.0
    spool_after = 0.1


class LenientWorker(WebWorker):
    client = Lenient
    max_spooled = 3


def application(environ, start_response):
    """/large is LARGE bytes; anything else the digest of the body."""
    body = environ["wsgi.input"].read()
    answer = bytes(LARGE) if environ["PATH_INFO"] == "/large" else hashlib.sha256(body).hexdigest().encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]


class Few(Anybody):
    """At most 100,000 bytes of a body."""

    def terms(self, request, caller):
        return Terms(limit=100_000, too_large=(413, "too large"))


class Limited:
    """An application that says how long a body was, or with which status it was refused."""

    admission = Few()

    def __call__(self, environ, start_response):
        body = environ["wsgi.input"].read()
        digest = hashlib.sha256(body).hexdigest()
        refused = environ["wsgi.input"].refused
        answer = f"refused {refused[0]}" if refused else f"{environ['CONTENT_LENGTH']} {digest}"
        start_response("200 OK", [("Content-Length", str(len(answer)))])
        return [answer.encode()]


limited = Limited()


class CrampedWorker(WebWorker):
    """With room for eight connections of an address, and for three requests of a caller that wait for its thread."""

    max_by_address = 8
    patient_within = 0.0

    def init_process(self):
        fair_share.MAX_WAITING = fair_share.MIN_WAITING = 3
        super().init_process()


runs = []


def held(environ, start_response):
    """Responds with how many requests for / have come to a thread. /hold keeps its thread until somebody opens the pipe
    that its query names."""
    if environ["PATH_INFO"] == "/hold":
        Path(environ["QUERY_STRING"]).read_bytes()
    runs.append(environ["PATH_INFO"])
    start_response("200 OK", [("Connection", "close")])
    return [b"%d" % runs.count("/")]
