"""The server below a path of a site, as in https://example.org/digits/, where a proxy leads to it."""

from collections.abc import Callable, Iterable


class UnderPrefix:
    """A WSGI application around another, which sees paths without the prefix, and links with it.

    A proxy may take the prefix out of the path or leave it there; who asks the server directly need not know of it.
    """

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
    whole = "/" + path.lstrip("/")  # old clients double the first slash
    if prefix and (whole == prefix or whole.startswith(prefix + "/")):
        return whole.removeprefix(prefix) or "/"
    return path
