"""Runs the trainer process and reads its events."""

import json
import math
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from django.conf import settings

from digits_project.common import resources
from digits_project.common.errors import BadInput, Failed, Lost
from models_app.training.engines import ENGINES, EngineDeclaration
from models_app.training.process import parse_line
from models_app.training.pythons.launcher import trainer_command
from models_app.training.ranks.failures import LOST_RANK

PULSE_SECONDS = 0.25  # how often events() yields None if there is no event
GRACE_SECONDS = 1.0  # from SIGTERM to SIGKILL: an abort is done within two seconds
REMEDY = "Take a smaller batch_size, smaller images or a smaller network, or give the worker more memory"
CRASHES = (signal.SIGILL, signal.SIGSEGV, signal.SIGFPE)  # which no lack of memory causes
CRASHED = "manage.py doctor on this host loads each engine; train.log may say more"
SHELL_SIGNAL = 128  # exit statuses from here on: a signal ended the program that a shell script had started
SILENCE_SECONDS = 900.0  # a trainer reports every second, but one batch of a large network can take minutes


class TrainerDied(Lost):
    """The trainer ended or stopped reporting, without an error event."""


class TrainerFault(Exception):
    """The trainer reported a fault in its own code; the text is for the log."""


EXCEPTIONS = {"user": BadInput, "host": Failed, "server": TrainerFault, LOST_RANK: TrainerDied}


@contextmanager
def events(config: Path, log: Path, is_reporting: bool = True) -> Iterator[Iterator[dict | None]]:
    """Start the trainer on `config`, in the Python of the engine that this names, and yield its events, and None after
    each PULSE_SECONDS without one. `is_reporting`: it sends an event each second; a further host's ranks send none.

    The trainer has ended when the block is left, however it is left. All other output is appended to `log`. Raises
    BadInput for the user's mistakes, Failed for problems of the host, TrainerDied or TrainerFault for any other
    failure."""
    engine = ENGINES[json.loads(config.read_text())["engine"]]
    if missing := engine.obstacle(None):
        raise Failed(f"{missing}. Install it on {settings.DIGITS_HOST_NAME}, then resume this job.")
    with log.open("ab", buffering=0) as output:
        process = _start(engine, config, output)
        try:
            yield _listen(process, output, SILENCE_SECONDS if is_reporting else math.inf)
        finally:
            _stop(process)


def _start(engine: EngineDeclaration, config: Path, output: BinaryIO) -> subprocess.Popen:
    return subprocess.Popen(
        trainer_command(engine.python(), str(config)),
        cwd=settings.BASE_DIR,
        env=environment_of(engine),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=output,
    )


def environment_of(engine: EngineDeclaration) -> dict[str, str]:
    """The environment variables of the engine's trainer: in a Python of its own without those of the server's."""
    own = () if engine.python() == sys.executable else ("PYTHONHOME", "PYTHONPATH")
    return {name: value for name, value in os.environ.items() if name not in own}


def _listen(process: subprocess.Popen, log: BinaryIO, patience: float) -> Iterator[dict | None]:
    last_event = time.monotonic()
    for line in _lines(process.stdout):
        text, event = parse_line(line) if line is not None else (b"", None)
        if text:
            with suppress(OSError):  # a full disk; the training's own files report it
                log.write(text + b"\n")
        if event:
            last_event = time.monotonic()
            if event["event"] == "error":
                raise EXCEPTIONS[event["blame"]](event["message"])
            yield event
        elif time.monotonic() - last_event > patience:
            raise TrainerDied(f"The trainer sent nothing for {patience:g} s and was stopped.")
        else:
            yield None
    if status := process.wait():
        if 0 < status < SHELL_SIGNAL:
            raise TrainerDied(f"The trainer ended with exit status {status}; train.log says why.")
        if status < 0 and -status in CRASHES:
            raise TrainerDied(f"The trainer was ended by {signal.Signals(-status).name}: a library crashed. {CRASHED}")
        how = f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"
        raise TrainerDied(
            f"The trainer {how}. Out of memory is the usual reason: it had taken "
            f"{resources.gibibytes(resources.taken_by_children())}, and there are {resources.limit()}. "
            f"{REMEDY}; train.log may say more."
        )


def _lines(pipe) -> Iterator[bytes | None]:
    """Lines as they arrive, and None for each pulse without one, until the pipe ends."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            if not selector.select(PULSE_SECONDS):
                yield None
                continue
            chunk = os.read(pipe.fileno(), 65536)
            if not chunk:
                if rest:
                    yield rest
                return
            *whole, rest = (rest + chunk).split(b"\n")
            yield from whole


def _stop(process: subprocess.Popen) -> None:
    """Send SIGTERM, so that the trainer can remove incomplete files, then SIGKILL."""
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()
