"""Starts processes as forks of one process, the fork server, which has imported the server's code once.

A fork needs no import, so it starts within milliseconds, and it shares the memory of the code with all other forks.

    server = ForkServer("digits_project.preloaded", log, env)
    server.start()
    process = server.fork(["manage.py", "worker", "io"], {1: stdout, 2: stderr})

The fork server forks twice, and its child exits at once. So the kernel makes the new process a child of the nearest
subreaper, the supervisor (`processes.adopt_orphans`): the supervisor waits for it and ends it like any other child,
and it lives on if the fork server dies.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from digits_project.common import processes

Prepared = TypeVar("Prepared")

READY_WITHIN = 60  # seconds, to import the code and to fork
MAX_REQUEST, MAX_FILES = 65_536, 16
FREE_ABOVE = 500  # file descriptors from here on are not yet used, and are not those that a command asks for


class Forked:
    """A process that the fork server started: a child of this process, with the methods of subprocess.Popen."""

    def __init__(self, pid: int):
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while the process runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the exit status. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            time.sleep(0.005)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended: then its pid may be another's."""
        if self.poll() is None:
            os.kill(self.pid, number)


class ForkServer:
    """The fork server of the supervisor: runs `python -m module`, which imports code and then calls `serve`."""

    process: subprocess.Popen
    _control: socket.socket

    def __init__(self, module: str, log: Path, env: Mapping[str, str], cwd: Path):
        self.module, self.log, self.env, self.cwd = module, log, env, cwd

    def start(self) -> subprocess.Popen:
        """Start it, also again after it has died. Requests wait until its imports are done."""
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(READY_WITHIN)
        with theirs:
            command = [sys.executable, "-m", self.module, str(theirs.fileno())]
            self.process = processes.spawn(command, self.log, env=self.env, cwd=self.cwd, pass_fds=[theirs.fileno()])
        return self.process

    def fork(self, command: Sequence[str], files: Mapping[int, int]) -> Forked:
        """Start a process that runs `command`, a name that the module knows and its arguments. `files` maps the new
        process's file descriptors to open ones of this process. Raises processes.NotStarted."""
        request = json.dumps({"command": list(command), "files": list(files)}).encode()
        try:
            socket.send_fds(self._control, [request], list(files.values()))
            answer = json.loads(self._control.recv(MAX_REQUEST) or '{"error": "it ended"}')
        except ConnectionError:
            answer = {"error": "it ended"}
        except OSError as failed:
            answer = {"error": str(failed)}
        if "pid" not in answer:
            self.stop()  # the supervisor starts it again; a late answer must not be taken for that of the next request
            raise processes.NotStarted(
                f"{' '.join(command)} could not be started by the process that loads the server's code: "
                f"{answer['error']}. The end of {self.log}:\n{processes.tail(self.log)}"
            )
        return Forked(answer["pid"])

    def stop(self) -> None:
        self._control.close()
        processes.stop([self.process], [signal.SIGTERM], 1)


def serve(control: int, prepare: Callable[[list[str]], Prepared]) -> Prepared:
    """In the fork server: fork a process for each request that arrives on the socket `control`.

    Returns only in these processes, what `prepare` returned for their command in the fork server; ends with the
    supervisor.
    """
    supervisor = os.getppid()
    with socket.socket(fileno=control) as requests:
        while True:
            message, files, _, _ = socket.recv_fds(requests, MAX_REQUEST, MAX_FILES)
            if not message:
                sys.exit()
            request = json.loads(message)
            prepared = prepare(request["command"])
            try:
                pid = _fork_twice(supervisor)
            except OSError as failed:  # no memory, or too many processes
                requests.send(json.dumps({"error": str(failed)}).encode())
                continue
            if pid == 0:
                break
            for file in files:
                os.close(file)
            requests.send(json.dumps({"pid": pid}).encode())
    _install(dict(zip(request["files"], files, strict=True)))
    _show(request["command"])
    return prepared


def _fork_twice(supervisor: int) -> int:
    """Fork a process whose parent is the supervisor. Returns its pid, and 0 in the new process."""
    reading, writing = os.pipe()
    between = os.fork()
    if between == 0:
        if _fork_and_report(writing):
            os._exit(0)
        os.close(reading)
        os.close(writing)
        processes.die_with(supervisor, signal.SIGTERM)
        os.setsid()  # Ctrl-C in the terminal reaches only the supervisor
        return 0
    os.close(writing)
    answer = os.read(reading, 20)
    os.close(reading)
    os.waitpid(between, 0)
    if not answer:
        raise OSError("the system started no further process")
    return int(answer)


def _fork_and_report(report: int) -> bool:
    """Fork, and write the child's pid to `report`. Returns True here; False in the child, once its parent is gone."""
    parent = os.getpid()
    with contextlib.suppress(OSError):
        if pid := os.fork():
            os.write(report, str(pid).encode())
            return True
        while os.getppid() == parent:
            time.sleep(0.001)
        return False
    return True


def _install(files: Mapping[int, int]) -> None:
    """Make each file available under the descriptor that is its key."""
    above = {target: fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, FREE_ABOVE) for target, file in files.items()}
    for file in files.values():
        os.close(file)
    for target, file in above.items():
        os.dup2(file, target)
        os.close(file)


def _show(command: Sequence[str]) -> None:
    """Let ps and other programs show `command`, as much of it as fits, in place of the fork server's command line."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])  # arg_start and arg_end of proc(5), the memory that ps reads
    if end > start:
        text = "\0".join(command).encode()[: end - start - 1]
        ctypes.memmove(start, text.ljust(end - start, b"\0"), end - start)
