"""Serves the application under a path of a site, as in https://example.org/digits/, behind a proxy."""

from collections.abc import Callable, Iterable
from typing import Any

from digits_project.server.connection import OpenAdmission


class UnderPrefix:
    """WSGI middleware: the application gets paths without the prefix, and generates links with it.

    A proxy can remove the prefix from the path or leave it. Direct requests work with and without it.
    """

    # Set by wsgi.py, and read by the gunicorn worker:
    admission: OpenAdmission  # the terms of its requests
    streams: Any  # its event streams, with stop()

    def __init__(self, application: Callable, prefix: str):
        self._application = application
        self._prefix = prefix

    def __call__(self, environ: dict, start_response: Callable) -> Iterable[bytes]:
        if self._prefix:
            environ["PATH_INFO"] = without_prefix(environ["PATH_INFO"], self._prefix)
            environ["SCRIPT_NAME"] = self._prefix
        return self._application(environ, start_response)


def without_prefix(path: str, prefix: str) -> str:
    """The path as the application sees it."""
    whole = "/" + path.lstrip("/")  # old clients send a double slash
    if prefix and (whole == prefix or whole.startswith(prefix + "/")):
        return whole.removeprefix(prefix) or "/"
    return path
