"""For whom the process works just now, and whether everything may be shown to them (DIGITS_PRIVATE)."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.conf import settings

from digits_project.accounts.roles import Role, role_of

PATH = re.compile(r"(?<![\w/.:])/(?:[^\s/'\",;:()]+/)+")  # the folders of an absolute path; not those of a URL

_user: ContextVar[Callable[[], object] | None] = ContextVar("user", default=None)


@contextmanager
def working_for(user: Callable[[], object]) -> Iterator[None]:
    """Inside the block the work is for the user whom `user` returns at that moment, as a request's is."""
    before = _user.set(user)
    try:
        yield
    finally:
        _user.reset(before)


def limited_user():
    """The user who may see only some jobs and no paths of the server; None where everything may be shown: to operators,
    to the server's own processes and commands, and without DIGITS_PRIVATE."""
    user = _user.get()
    if not settings.DIGITS_PRIVATE or user is None:
        return None
    found = user()
    return None if (role_of(found) or 0) >= Role.OPERATOR else found


def without_paths(value):
    """A text, or lists and dicts of texts, without the folders of the server's paths for whom those are not."""
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
    """The server's folders that a message may name, the deepest first; blanks in their names don't end them."""
    folders = (settings.DIGITS_JOBS_DIR, settings.DIGITS_HOME, settings.BASE_DIR, *settings.DIGITS_DATA_ROOTS)
    return sorted({str(folder) for folder in folders} - {"/"}, key=len, reverse=True)
