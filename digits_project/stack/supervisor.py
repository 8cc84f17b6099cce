"""The supervisor of `make run`: starts PostgreSQL and Redis if needed, the web server, the workers and the reaper.

    with Stack(home, port) as stack:
        stack.url
        stack.tend()    # call it regularly: it restarts what died

No child outlives this process, however it ends. Use the supervisor from the main thread of a process that handles no
signals and has no other children.
"""

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

from digits_project.common import processes
from digits_project.stack import web_server
from digits_project.stack.embedded import ServiceError, Services
from digits_project.stack.fork_server import Forked, ForkServer
from digits_project.stack.home import (
    ROOT,
    STATE,
    NotOurs,
    already_running,
    close_to_writers,
    keep_others_from_writing,
    write_state,
)
from digits_project.stack.web_server import StackError

READY_WITHIN = 60  # seconds
TEND_EVERY = 0.5  # seconds
WEB_GRACE, WORKER_GRACE = 5.0, 8.0  # seconds to stop after the first signal
NO_CHECKS = ("--skip-checks",)  # migrate has done them
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class AlreadyRunning(StackError):
    """Another process holds this home."""


class Stack:
    """The whole server on `home`, as a context manager. Raises StackError, whose text is for the user.

    SIGINT, SIGTERM and SIGHUP raise KeyboardInterrupt inside it. `url` ends with a slash. `admin_password` is the
    password of the superuser `admin` if this run created it, else ''. `say` is called with each line for the user.
    """

    def __init__(self, home: Path, port: int, say: Callable[[str], None] = print):
        self.home = home.resolve()
        self.logs = self.home / "log"
        self.port = port
        self.web_command = web_server.command()
        self.say = say
        self.url = ""
        # There is none yet.
        self.admin_password = ""  # nosec B105
        self.services: Services | None = None
        self.fork_server: ForkServer
        self.forks: processes.Child  # the process of the fork server
        self.children: list[processes.Child] = []
        self._handlers: dict = {}
        self._exit = contextlib.ExitStack()

    def __enter__(self) -> "Stack":
        try:
            self._start()
        except processes.NotStarted as failed:
            self.__exit__()
            raise StackError(str(failed)) from None
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception) -> None:
        for number in STOP_SIGNALS:  # a second Ctrl-C must not interrupt the shutdown
            signal.signal(number, signal.SIG_IGN)
        self._exit.close()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def tend(self) -> None:
        """Restart what has died, and report it."""
        services = self.services.services if self.services else []
        processes.reap_orphans([part.process for part in (*services, self.forks, *self.children)])
        notes = self.services.tend() if self.services else []
        for note in (*notes, self.forks.tend(), *(child.tend() for child in self.children)):
            if note:
                self._note(note)

    def _start(self) -> None:
        self._handlers = _interrupt_on(STOP_SIGNALS)
        self._take_home()
        processes.adopt_orphans()
        self._exit.callback(processes.kill_descendants)
        self._start_services()
        self._migrate()
        admin_password = self._ensure_superuser()
        listener = self._exit.enter_context(web_server.listen(self.port))
        port = listener.getsockname()[1]
        if port != self.port:
            self._note(f"Port {self.port} is taken; using {port}")
        prefix = os.environ.get("DIGITS_URL_PREFIX", "").strip("/")  # migrate has checked it already
        self.url = f"http://127.0.0.1:{port}/{prefix}{'/' if prefix else ''}"
        self._exit.callback(self._stop_children)
        self._start_children(listener)
        self._await_web()
        self.admin_password = admin_password()
        write_state(self.home, self.url)

    def _take_home(self) -> None:
        keep_others_from_writing()
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            close_to_writers(self.home)
            self._exit.enter_context(processes.exclusive(self.home / "lock"))
        except processes.AlreadyLocked:
            raise AlreadyRunning(already_running(self.home)) from None
        except OSError as error:
            raise StackError(f"DIGITS_HOME, {self.home}, can't be used: {error}") from None
        write_state(self.home, self.url)
        self._exit.callback((self.home / STATE).unlink, missing_ok=True)
        processes.rotate(self.logs / "stack.log")

    def _start_services(self) -> None:
        """Start the services that no variable names and, beside them, the fork server."""
        env = dict(os.environ)
        env.pop("GUNICORN_CMD_ARGS", None)  # meant for another server
        postgres, redis = (not (env.get(name) or env.get(f"{name}_FILE")) for name in ("DATABASE_URL", "REDIS_URL"))
        try:
            if postgres or redis:
                self.services = Services(self.home, postgres=postgres, redis=redis)
                self._exit.push(self.services)
                self.services.lay_out()
                env |= self.services.urls
            env.setdefault("DIGITS_AUTH", "open")  # it listens on 127.0.0.1 only
            env.setdefault("ORT_DISABLE_TELEMETRY", "1")  # otherwise ONNX Runtime sends telemetry
            env |= {"DIGITS_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}
            log = self.logs / "fork-server.log"
            self.fork_server = ForkServer("digits_project.preloaded", log, env, ROOT)
            self.forks = processes.Child("fork-server", log, self.fork_server.start)
            self.forks.start()
            self._exit.callback(self.fork_server.stop)
            if self.services:
                self.services.start()
        except (NotOurs, ServiceError) as error:
            raise StackError(str(error)) from error

    def _migrate(self) -> None:
        log = self.logs / "migrate.log"
        processes.rotate(log)
        process = self._fork(["manage.py", "migrate", "--no-input"], log)
        try:
            failed = process.wait()
        finally:
            processes.stop([process], [signal.SIGTERM], WORKER_GRACE)
        if failed:
            raise StackError(f"The database could not be prepared. The end of {log}:\n{processes.tail(log)}")

    def _ensure_superuser(self) -> Callable[[], str]:
        """Start to create the superuser `admin`. The returned function waits for it, and returns the password if there
        was no superuser before. The password is read from a pipe, so it is in no log."""
        log = self.logs / "migrate.log"
        reading, writing = os.pipe()
        output = self._exit.enter_context(os.fdopen(reading))
        try:
            process = self._fork(["manage.py", "ensure_superuser"], log, {1: writing})
        finally:
            os.close(writing)

        def finish() -> str:
            password = output.read().strip()
            if process.wait():
                raise StackError(f"The superuser could not be made. The end of {log}:\n{processes.tail(log)}")
            return password

        return finish

    def _fork(self, command: Sequence[str], log: Path, files: Mapping[int, int] = MappingProxyType({})) -> Forked:
        """Start a process of the server's code that appends to `log`, except what `files` sends elsewhere."""
        with log.open("ab") as sink:
            return self.fork_server.fork(command, {1: sink.fileno(), 2: sink.fileno(), **files})

    def _start_children(self, listener: socket.socket) -> None:
        # The web server inherits the socket, so no other program can take the port meanwhile, and a restarted web
        # server finds the requests that arrived in between.
        commands = {
            "web": self.web_command,
            "worker-io": ["manage.py", "worker", "io", *NO_CHECKS],
            "worker-io-spare": ["manage.py", "worker", "io-spare", *NO_CHECKS],
            "worker-train": ["manage.py", "worker", "train", *NO_CHECKS],
            "reaper": ["manage.py", "reaper", *NO_CHECKS],
        }
        for name, command in commands.items():
            log = self.logs / f"{name}.log"
            files = {web_server.LISTENER: listener.fileno()} if name == "web" else {}
            child = processes.Child(name, log, partial(self._fork, command, log, files))
            child.start()
            self.children.append(child)

    def _stop_children(self) -> None:
        web = [child.process for child in self.children[:1]]
        others = [child.process for child in self.children[1:]]
        processes.stop(web, [signal.SIGTERM], WEB_GRACE)
        processes.stop(others, [signal.SIGTERM], WORKER_GRACE)

    def _await_web(self) -> None:
        web = self.children[0]
        deadline = time.monotonic() + READY_WITHIN
        while (status := web_server.status_of(self.url)) is None and web.process.poll() is None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        if status is None or status >= 500:
            answered = f"answers {status}" if status else "does not answer"
            raise StackError(f"The web server {answered}. The end of {web.log}:\n{processes.tail(web.log)}")

    def _note(self, text: str) -> None:
        """Write a line for the user and to the log."""
        self.say(text)
        with (self.logs / "stack.log").open("a") as log:
            print(time.strftime("%Y-%m-%d %H:%M:%S"), text, file=log)


def _interrupt_on(numbers: Sequence[signal.Signals]) -> dict:
    """Let the signals raise KeyboardInterrupt, except a SIGHUP that nohup ignores. Returns the former handlers."""
    former = {number: signal.getsignal(number) for number in numbers}
    for number, handler in former.items():
        if not (number == signal.SIGHUP and handler == signal.SIG_IGN):
            signal.signal(number, _interrupt)
    return former


def _interrupt(number, frame):
    raise KeyboardInterrupt
