"""The server's home, and what the stack that runs on it tells others there, in stack.json: where it is, and how set."""

import contextlib
import json
import os
from pathlib import Path

from digits_project import processes

ROOT = Path(__file__).resolve().parent.parent
SHARED = ("DIGITS_AUTH", "DIGITS_DATA_ROOTS", "DIGITS_JOBS_DIR")
STATE = "stack.json"


def home_from_environment() -> Path:
    return Path(os.environ.get("DIGITS_HOME") or ROOT / "var").resolve()


def told() -> dict[str, str]:
    """What this stack was told that commands in another shell have to know: they are to see its files as it does."""
    known = {name: os.environ[name] for name in SHARED if os.environ.get(name)}
    return {"DIGITS_AUTH": "open", **known}


def write_state(home: Path, url: str) -> None:
    """For whoever finds the home taken: which process has it, and where it serves; `url` is '' until it does."""
    aside = home / f"{STATE}.new"
    aside.write_text(json.dumps({"pid": os.getpid(), "url": url, "environment": told()}))
    aside.replace(home / STATE)


def who_runs(home: Path) -> str:
    """What to tell a user who finds the home taken."""
    try:
        state = json.loads((home / STATE).read_text())
    except (OSError, ValueError):  # it has just begun, or just ended
        return f"DIGITS already runs on {home}"
    where = state["url"] or "starting"
    return f"DIGITS already runs on {home}: {where} (pid {state['pid']})\nTo stop it: kill {state['pid']}"


def adopt_running() -> None:
    """Let this process see the stack that runs on its home as the stack's own parts do, but for what is set already."""
    home = home_from_environment()
    if processes.is_locked(home / "lock"):
        with contextlib.suppress(OSError, ValueError):  # it has just begun, or just ended
            for name, value in json.loads((home / STATE).read_text()).get("environment", {}).items():
                os.environ.setdefault(name, value)
