"""The server's home folder: its permissions, which of its files are trusted, and stack.json, in which the running stack
writes its URL and its settings."""

import contextlib
import fcntl
import json
import os
import stat
from pathlib import Path

from digits_project.common import processes

ROOT = Path(__file__).resolve().parents[2]
SHARED = ("DIGITS_AUTH", "DIGITS_DATA_ROOTS", "DIGITS_ENGINE", "DIGITS_JOBS_DIR", "DIGITS_TORCH_PYTHON")
STATE = "stack.json"
WRITE_OF_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class NotOurs(Exception):
    """A file of the home that another user wrote or could have written. The text tells the operator what to do."""


def home_from_environment() -> Path:
    return Path(os.environ.get("DIGITS_HOME") or default_home(ROOT)).resolve()


def default_home(root: Path) -> Path:
    """`var` in a clone; `~/.digits` for an installed package, because pip owns the package's folder."""
    is_installed = root.name in ("site-packages", "dist-packages")
    return Path.home() / ".digits" if is_installed else root / "var"


def keep_others_from_writing() -> None:
    """Set the umask, so that this process and its children create no files that other users can write to."""
    os.umask(os.umask(WRITE_OF_OTHERS) | WRITE_OF_OTHERS)


def close_to_writers(home: Path) -> None:
    """Take from other users the right to write to a home, its logs and its jobs' folders, which an earlier start may
    have given them. A folder of another user, and a folder that everybody shares, such as /tmp, stays as it is."""
    log = home / "log"
    for path in (home, home / "lock", home / STATE, home / "jobs", log, *log.glob("*")):
        if _is_open(path):
            _close(path)
    for job in (home / "jobs").glob("*"):
        if _is_open(job):  # nothing in a closed folder is checked any more: there may be thousands of folders
            for path in job.rglob("*"):
                if _is_open(path):
                    _close(path)
            _close(job)  # last, so that after an interrupted start the next one continues


def _is_open(path: Path) -> bool:
    """Whether other users can write to a path of this user that is not world-writable on purpose (sticky, as /tmp)."""
    try:
        status = path.lstat()
    except OSError:
        return False
    own = status.st_uid == os.geteuid() and not stat.S_ISLNK(status.st_mode)
    return own and bool(status.st_mode & WRITE_OF_OTHERS) and not status.st_mode & stat.S_ISVTX


def _close(path: Path) -> None:
    """Remove the write permission of other users. A link, which may have replaced the file meanwhile, is not
    followed."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.fchmod(descriptor, stat.S_IMODE(os.fstat(descriptor).st_mode) & ~WRITE_OF_OTHERS)
        finally:
            os.close(descriptor)


def read_own(path: Path, home: Path) -> str:
    """The text of a file in `home` that this process trusts. Raises OSError; NotOurs if the file does not belong to
    this user, to root or to the home's owner, or if everybody can write to it."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), encoding="utf-8") as file:
        status = os.fstat(file.fileno())
        if status.st_uid not in (os.geteuid(), 0, home.stat().st_uid):
            raise NotOurs(f"{path} belongs to the user {status.st_uid}, not to the server's user. Remove it.")
        if not stat.S_ISREG(status.st_mode) or status.st_mode & stat.S_IWOTH:
            raise NotOurs(f"{path} can be written to by everybody. Check its contents, then: chmod go-w {path}")
        return file.read()


def remove_abandoned_uploads(folder: Path) -> None:
    """Remove the uploads that a killed web process left. The web process calls this at its start.

    A process holds a lock on each of its uploads (uploads.DiskUpload); the kernel releases the locks with the process.
    """
    for path in folder.glob("*.upload*"):  # as Django names them
        with contextlib.suppress(OSError), path.open("rb") as file:  # BlockingIOError while the process lives
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def settings_for_commands() -> dict[str, str]:
    """The environment variables of this stack that commands in another shell need, so that they use the same files."""
    known = {name: os.environ[name] for name in SHARED if os.environ.get(name)}
    return {"DIGITS_AUTH": "open", **known}


def write_state(home: Path, url: str) -> None:
    """Write stack.json: the process that holds the home, and its URL; `url` is '' until the web server is ready."""
    aside = home / f"{STATE}.new"
    aside.write_text(json.dumps({"pid": os.getpid(), "url": url, "environment": settings_for_commands()}))
    aside.replace(home / STATE)


def already_running(home: Path) -> str:
    """The message for a user whose home is in use by another stack."""
    try:
        state = _read_state(home)
    except NotOurs as strange:
        return f"DIGITS already runs on {home}. {strange}"
    if not state:
        return f"DIGITS already runs on {home}"
    where, pid = state.get("url") or "starting", state.get("pid")
    return f"DIGITS already runs on {home}: {where} (pid {pid})\nTo stop it: kill {pid}"


def adopt_running() -> None:
    """Use the settings of the stack that runs on this home, except for variables that are set already. Raises
    NotOurs if another user could have written stack.json."""
    home = home_from_environment()
    if processes.is_locked(home / "lock"):
        settings = _read_state(home).get("environment")
        for name, value in settings.items() if isinstance(settings, dict) else ():
            if name in SHARED and isinstance(value, str):
                os.environ.setdefault(name, value)


def _read_state(home: Path) -> dict:
    """The contents of stack.json; {} if the stack is just starting or has just ended."""
    try:
        state = json.loads(read_own(home / STATE, home))
    except (OSError, ValueError, RecursionError):
        return {}
    return state if isinstance(state, dict) else {}
