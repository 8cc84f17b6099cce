"""The audit log: who did what, as rows for the admin and as lines in the log."""

import getpass
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from digits_project.accounts.models import AuditEntry

log = logging.getLogger("audit")


class Actor(NamedTuple):
    """The user who acts: a name, and the address of the request ("" for a command)."""

    name: str
    address: str = ""


_actor: ContextVar[Callable[[], Actor] | None] = ContextVar("actor", default=None)


@contextmanager
def acting(who: Callable[[], Actor]) -> Iterator[None]:
    """Inside the block, record() names the actor that `who` returns at that moment."""
    before = _actor.set(who)
    try:
        yield
    finally:
        _actor.reset(before)


def record(action: str, subject: str, detail: str = "") -> None:
    """Add an entry for the current actor; outside of a request that is the user who started the command."""
    who = _actor.get()
    actor = who() if who else Actor(f"{_system_user()} at the console")
    entry = AuditEntry(actor=actor.name[:200], address=actor.address[:64], action=action)
    entry.subject, entry.detail = (text.replace("\0", "")[:most] for text, most in ((subject, 300), (detail, 1000)))
    entry.save()
    log.info(
        "%s%s: %s %s%s",
        ascii(entry.actor),
        f" ({entry.address})" if entry.address else "",
        action,
        ascii(entry.subject),
        f", {entry.detail!a}" if detail else "",
    )


def on_login(sender, request, user, **signal) -> None:
    record("log in", user.get_username())


def _system_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # the user id has no name on this system, as in a container
        return "somebody"
