"""A private Docker daemon: own data, own socket, stopped at the end, and the machine's network rules put back."""

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.docker.commands import CannotCheck, CheckFailed, run, say, wait_until

NEEDED = ("dockerd", "iptables", "iptables-save", "iptables-restore", "ip", "debootstrap", "tar")
TABLES = {"filter": ("INPUT", "FORWARD", "OUTPUT"), "nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING")}
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
INSTALL = "apt-get install docker.io docker-compose iptables debootstrap"
START_SECONDS, STOP_SECONDS = 60, 60
PLUGINS = 23  # from this version on Docker's client builds only with its plugin buildx


class Docker:
    """A client of one daemon."""

    def __init__(self, socket: Path):
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{socket}", "DOCKER_BUILDKIT": "1"}
        self.client = building_client()

    def __call__(self, *words: object, **options) -> str:
        return run(self.client, *words, env=self.environment, **options)

    def has(self, image: str) -> bool:
        """Whether the daemon has this image."""
        return bool(self("images", "--quiet", image))


def why_not() -> str:
    """Why no daemon can be started on this machine; "" if one can."""
    if os.geteuid():
        return "a Docker daemon takes root"
    missing = [name for name in NEEDED if not shutil.which(name)]
    if missing:
        return f"missing: {', '.join(missing)}; on Debian: {INSTALL}"
    try:
        building_client()
    except CannotCheck as reason:
        return str(reason)
    return ""


def building_client() -> str:
    """The first `docker` on PATH that can build with BuildKit."""
    for folder in os.get_exec_path():
        client = shutil.which("docker", path=folder)
        if client and can_build(client):
            return client
    raise CannotCheck("no docker on PATH can build; on Debian: apt-get install docker.io, or docker-buildx")


def can_build(client: str) -> bool:
    version = subprocess.run([client, "--version"], capture_output=True, text=True).stdout  # Docker version 20.10.24, …
    if int(version.split()[2].partition(".")[0]) < PLUGINS:
        return True
    return subprocess.run([client, "buildx", "version"], capture_output=True).returncode == 0


@contextlib.contextmanager
def private_daemon(folder: Path) -> Iterator[Docker]:
    """Run a daemon with its data in `folder`, and remove all traces of its networks afterwards."""
    rules, forwarding = run("iptables-save"), FORWARDING.read_text()
    bridge = Path("/sys/class/net/docker0").exists()
    socket = folder / "docker.sock"
    options = {"data-root": folder / "data", "exec-root": folder / "exec", "pidfile": folder / "pid"}
    words = ["dockerd", f"--host=unix://{socket}", *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "dockerd.log").open("ab") as log:
        daemon = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
    try:
        docker = Docker(socket)
        wait_until("the daemon responds", lambda: alive(daemon, folder) and docker("version"), START_SECONDS)
        yield docker
    finally:
        stop(daemon)
        run("iptables-restore", input=f"{rules}\n{empty_tables(rules)}")
        FORWARDING.write_text(forwarding)
        if not bridge:
            subprocess.run(["ip", "link", "delete", "docker0"], capture_output=True)


def empty_tables(rules: str) -> str:
    """The tables that Docker uses and that these rules leave out, without any rule: iptables-restore does not change a
    table that it is not given."""
    return "".join(
        f"*{table}\n" + "".join(f":{chain} ACCEPT\n" for chain in chains) + "COMMIT\n"
        for table, chains in TABLES.items()
        if f"*{table}\n" not in rules
    )


def alive(daemon: subprocess.Popen, folder: Path) -> bool:
    if daemon.poll() is None:
        return True
    log = (folder / "dockerd.log").read_text(errors="replace").splitlines()[-5:]
    raise CannotCheck("dockerd does not start here:\n" + "\n".join(log))


def stop(daemon: subprocess.Popen) -> None:
    """Stop the daemon, which stops its containers first."""
    daemon.send_signal(signal.SIGTERM)
    try:
        daemon.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
        say("dockerd did not stop by itself and was killed")


def remove(folder: Path) -> None:
    """Remove the daemon's data; a mount can need a moment to go."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.5)
    raise CheckFailed(f"{folder} can't be removed")
