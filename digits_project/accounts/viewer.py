"""The user on whose behalf this process works, and whether that user may see everything (DIGITS_PRIVATE)."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from django.conf import settings

from digits_project.accounts.roles import Role, role_of

T = TypeVar("T")
PATH = re.compile(r"(?<![\w/.:])/(?:[^\s/'\",;:()]+/)+")  # the folders of an absolute path; not those of a URL

_user: ContextVar[Callable[[], object] | None] = ContextVar("user", default=None)


@contextmanager
def working_for(user: Callable[[], object]) -> Iterator[None]:
    """Inside the block the process works for the user that `user()` returns, such as a request's user."""
    before = _user.set(user)
    try:
        yield
    finally:
        _user.reset(before)


def kept_for_user(parts: Iterable[T]) -> Iterator[T]:
    """The parts of a streamed response, each made on behalf of the present user. A server asks for them after the
    block of working_for() has ended."""
    user, rest = _user.get(), iter(parts)

    def made() -> Iterator[T]:
        while True:
            token = _user.set(user)  # not for longer: between two parts the thread works for others
            try:
                part = next(rest)
            except StopIteration:
                return
            finally:
                _user.reset(token)
            yield part

    return made()


def limited_user():
    """The user who may see only some jobs and no server paths. None if everything may be shown: without DIGITS_PRIVATE,
    to operators, and to the server's own processes and commands."""
    user = _user.get()
    if not settings.DIGITS_PRIVATE or user is None:
        return None
    found = user()
    return None if (role_of(found) or 0) >= Role.OPERATOR else found


def without_paths(value):
    """A text, or lists and dicts of texts, with the folders of server paths removed for a limited user."""
    return value if limited_user() is None else _stripped(value)


def _stripped(value):
    if isinstance(value, str):
        for root in _roots():
            value = value.replace(f"{root}/", "").replace(root, "the server's folder")
        return PATH.sub("", value)
    if isinstance(value, dict):
        return {name: _stripped(part) for name, part in value.items()}
    return [_stripped(part) for part in value] if isinstance(value, (list, tuple)) else value


def _roots() -> list[str]:
    """The server's folders whose paths can occur in messages, deepest first; they can contain spaces."""
    folders = (settings.DIGITS_JOBS_DIR, settings.DIGITS_HOME, settings.BASE_DIR, *settings.DIGITS_DATA_ROOTS)
    return sorted({str(folder) for folder in folders} - {"/"}, key=len, reverse=True)
