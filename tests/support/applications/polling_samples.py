"""An application that numbers its answers, under the web server's worker."""

import itertools

from digits_project.server import poll_cache
from digits_project.server.gunicorn_worker import WebWorker

numbers = itertools.count(1)


class PatientWorker(WebWorker):
    """Answers to polls stay fresh for as long as a test may take."""

    def init_process(self):
        poll_cache.FRESH_SECONDS = 600.0
        super().init_process()


def application(environ, start_response):
    environ["wsgi.input"].read()
    answer = str(next(numbers)).encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
