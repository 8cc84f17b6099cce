"""Starts, watches and stops child processes that never outlive their parent; locks and rotates files."""

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import psutil

RESET_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
LONGEST_DELAY = 30  # seconds, between two starts of a child that keeps dying
RETRY_SECONDS = 5  # after an attempt to start a child that failed
LONG_LIFE = 60  # seconds; a child that lived that long is restarted at once
LOG_LIMIT = 10 * 2**20  # bytes; a larger log is rotated when its process starts


class SystemAccount(NamedTuple):
    """The user that a process runs as when root starts it."""

    uid: int
    gid: int

    def as_arguments(self) -> dict:
        """Arguments for subprocess: this user, without root's other groups."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


class ChildProcess(Protocol):
    """A child process: a subprocess.Popen, or one that the fork server started."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, number: int, /) -> None: ...


class AlreadyLocked(Exception):
    """Another process holds the lock."""


class NotStarted(Exception):
    """A child process could not be started; the text tells the operator why."""


@contextlib.contextmanager
def exclusive(path: Path, timeout: float = 1.0) -> Iterator[None]:
    """Hold the lock file `path`, or raise AlreadyLocked after `timeout` seconds. The kernel releases the lock when the
    process ends, however it ends. The timeout is needed because `is_locked` takes the lock for an instant."""
    with path.open("a") as file:
        deadline = time.monotonic() + timeout
        while not _try_lock(file.fileno(), fcntl.LOCK_EX):
            if time.monotonic() > deadline:
                raise AlreadyLocked(str(path))
            time.sleep(0.05)
        yield


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock file `path`."""
    if not path.exists():
        return False
    with path.open() as file:
        return not _try_lock(file.fileno(), fcntl.LOCK_SH)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def spawn(
    argv: Sequence[str | Path],
    log: Path,
    *,
    dies_by: signal.Signals = signal.SIGTERM,
    account: SystemAccount | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen:
    """Start a child in a session of its own, so that Ctrl-C in the terminal reaches only the parent. The child appends
    to `log` and gets the signal `dies_by` when its parent dies, even by SIGKILL. The kernel watches the calling thread,
    not the process, so call this from the main thread."""
    with log.open("ab") as sink:
        return subprocess.Popen(
            [str(word) for word in argv],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            cwd=cwd,
            env=env,
            pass_fds=pass_fds,
            start_new_session=True,
            preexec_fn=_tie_to_parent(dies_by, os.getpid()),  # after the change of user, which would reset it
            **(account.as_arguments() if account else {}),
        )


def _tie_to_parent(dies_by: signal.Signals, parent: int) -> Callable[[], None]:
    def in_child() -> None:
        for number in RESET_SIGNALS:  # nohup and `&` in a script ignore some signals, and exec inherits that
            signal.signal(number, signal.SIG_DFL)
        die_with(parent, dies_by)

    return in_child


class Child:
    """A process that is restarted whenever it ends: at once the first time, then after ever longer pauses."""

    process: ChildProcess
    started_at: float

    def __init__(self, name: str, log: Path, launch: Callable[[], ChildProcess]):
        self.name, self.log, self.launch = name, log, launch
        self.deaths = 0  # in a row, each after a short life
        self.due: float | None = None  # when to start it again

    def start(self) -> None:
        rotate(self.log)
        self.process = self.launch()
        self.started_at, self.due = time.monotonic(), None

    def tend(self) -> str | None:
        """Restart the process if it has died and its pause is over. Returns a line of text if it has just died."""
        if self.process.poll() is None:
            cut(self.log)
            return None
        now = time.monotonic()
        if self.due is not None:
            return self._start_if_possible() if now >= self.due else None
        self.deaths = 0 if now - self.started_at > LONG_LIFE else self.deaths + 1
        delay = min(LONGEST_DELAY, 2 ** (self.deaths - 2)) if self.deaths > 1 else 0
        self.due = now + delay
        again = f"in {delay} s" if delay else "now"
        return f"{self.name} ended ({self.process.returncode}) and is restarted {again}; see {self.log}"

    def _start_if_possible(self) -> str | None:
        try:
            self.start()
        except NotStarted as failed:
            self.due = time.monotonic() + RETRY_SECONDS
            return str(failed)
        return None


def reap_orphans(own: Iterable[ChildProcess]) -> None:
    """Reap the adopted orphans that have ended; not our own children, whose Popen objects do that."""
    pids = {process.pid for process in own}
    with contextlib.suppress(ChildProcessError):  # no child at all
        while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            if ended.si_pid in pids:
                return
            os.waitpid(ended.si_pid, 0)


def stop(processes: Iterable[ChildProcess], signals: Sequence[signal.Signals], grace: float) -> None:
    """Send all processes the first signal; after `grace` seconds send the next to those that still run, and so on."""
    running = [process for process in processes if process.poll() is None]
    for number in (*signals, signal.SIGKILL):
        for process in running:
            process.send_signal(number)
        running = wait(running, grace)


def wait(processes: Iterable[ChildProcess], seconds: float) -> list[ChildProcess]:
    """Wait until all have ended. Returns those that still run after `seconds`."""
    deadline = time.monotonic() + seconds
    running = []
    for process in processes:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            running.append(process)
    return running


def kill_descendants() -> None:
    """Send SIGKILL to all descendants of this process that still run, adopted orphans included."""
    left = psutil.Process().children(recursive=True)
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=5)


def working_in(directory: Path) -> list[psutil.Process]:
    """The processes whose working directory is `directory`: a data directory's server and its children."""
    wanted = str(directory.resolve())
    return [process for process in psutil.process_iter(["cwd"]) if process.info["cwd"] == wanted]


def wait_until_left(directory: Path, number: signal.Signals, seconds: float) -> bool:
    """Send the signal `number` to the processes that work in `directory`. Returns whether all ended in time."""
    deadline = time.monotonic() + seconds
    for process in (left := working_in(directory)):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
    while left and time.monotonic() < deadline:
        time.sleep(0.05)
        left = working_in(directory)
    return not left


def notify_systemd(state: str) -> None:
    """Send a state such as READY=1 to systemd, as sd_notify(3). Does nothing if systemd did not start this process."""
    if address := os.environ.get("NOTIFY_SOCKET"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd, contextlib.suppress(OSError):
            systemd.connect("\0" + address[1:] if address.startswith("@") else address)
            systemd.send(state.encode())


def rotate(log: Path) -> None:
    """Rename a log to NAME.1 if it is larger than LOG_LIMIT."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        log.replace(log.with_name(log.name + ".1"))


def cut(log: Path) -> None:
    """Rotate a log while its process writes to it: copy it to NAME.1, then truncate it."""
    if log.exists() and log.stat().st_size > LOG_LIMIT:
        shutil.copyfile(log, log.with_name(log.name + ".1"))
        os.truncate(log, 0)  # the process appends, so it continues at the start


def tail(log: Path, lines: int = 15, start: int = 0) -> str:
    """The last lines written to `log` after byte `start`, indented."""
    with log.open("rb") as file:
        file.seek(max(start, log.stat().st_size - 16_384))
        text = file.read().decode(errors="replace")
    return "\n".join("    " + line for line in text.splitlines()[-lines:])


_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_LIBC = ctypes.CDLL(None, use_errno=True)


def die_with(parent: int | None, by: signal.Signals = signal.SIGKILL, status: int = 1) -> None:
    """In a child process: ask the kernel for the signal `by` when the thread that started this process ends. Exit with
    `status` if the process `parent` died before this call. Raises OSError if the kernel does not support it."""
    _prctl(_PR_SET_PDEATHSIG, by)
    if parent is not None and os.getppid() != parent:
        os._exit(status)


def adopt_orphans() -> None:
    """Become the parent of descendants whose own parent dies, so that a list of the descendants is complete."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if _LIBC.prctl(option, int(value), 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl({option}) failed")
