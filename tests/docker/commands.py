"""What every step uses: run a command, wait for a condition, print a line with the time."""

import subprocess
import time
from collections.abc import Callable

BEGAN = time.monotonic()


class CannotCheck(Exception):
    """This machine can't run the check; the message is the reason."""


class CheckFailed(Exception):
    """A step found something wrong; the message says what."""


def say(text: str) -> None:
    """Print a line that begins with the seconds since the start."""
    print(f"[{time.monotonic() - BEGAN:6.0f} s] {text}", flush=True)


def run(*words: object, **options) -> str:
    """Run a command; return what it printed. Raises CheckFailed with its output if it fails."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, errors="replace", **options)
    if done.returncode:
        shown = "\n".join((done.stdout + done.stderr).splitlines()[-40:])
        raise CheckFailed(f"{' '.join(map(str, words))} ended with {done.returncode}:\n{shown}")
    return done.stdout.strip()


def wait_until(what: str, condition: Callable[[], object], seconds: float) -> float:
    """Wait until `condition()` is true; return the seconds that it took. CheckFailed from it counts as false."""
    began, reason = time.monotonic(), ""
    while time.monotonic() - began < seconds:
        try:
            if condition():
                return time.monotonic() - began
        except CheckFailed as failure:
            reason = f" ({failure})"
        time.sleep(0.5)
    raise CheckFailed(f"After {seconds:g} s still not true: {what}{reason}")
