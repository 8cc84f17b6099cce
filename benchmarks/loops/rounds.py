"""Loops that run in processes of their own, each for a while in turn, so that two are compared side by side.

This module imports nothing but the standard library, because a loop's process may have an environment of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def _torch_python() -> str:
    """The Python of an environment with PyTorch: BENCH_TORCH_PYTHON, which can be empty, else the server's."""
    own = ROOT / ".venv-torch/bin/python"
    servers = os.environ.get("DIGITS_TORCH_PYTHON") or (str(own) if own.exists() else "")
    return os.environ.get("BENCH_TORCH_PYTHON", servers)


# If it is empty, the rows with PyTorch are left out.
TORCH_PYTHON = _torch_python()

# The same for an environment with requirements/anchors.txt: LitServe and OpenCV.
ANCHORS_PYTHON = os.environ.get("BENCH_ANCHORS_PYTHON", "")

# What libgomp does without this project, which makes threads sleep sooner (decision 86).
DEFAULT_THREADS = {"GOMP_SPINCOUNT": "300000"}


def serve(run: Callable[[int], None], images_per_step: int, first_steps: int = 2) -> None:
    """In a loop's process: for each line of input, a number of seconds, work so long and print images/s.

    run: does so many steps, and returns when the device has done them.
    first_steps: how many it does to warm up, and again to see how long one takes.
    """
    run(first_steps)
    began = time.perf_counter()
    run(first_steps)
    step_seconds = (time.perf_counter() - began) / first_steps
    print("ready", flush=True)
    for line in sys.stdin:
        steps = max(1, round(float(line) / step_seconds))
        began = time.perf_counter()
        run(steps)
        seconds = time.perf_counter() - began
        step_seconds = seconds / steps
        print(steps * images_per_step / seconds, flush=True)


class Loop(AbstractContextManager):
    """A loop's process. Between its rounds it waits for a line of input."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen(command, cwd=ROOT, env=environment, **pipes)
        self._read("ready")

    def images_per_second(self, seconds: float) -> float:
        """Work for about so long, at least one step. Returns the speed."""
        print(seconds, file=self._process.stdin, flush=True)
        return float(self._read())

    def _read(self, expected: str = "") -> str:
        line = self._process.stdout.readline().strip()
        if not line or (expected and line != expected):
            raise RuntimeError(f"the loop {self._process.args} ended: {line}")
        return line

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.wait()


def alternate(ours: Loop, anchor: Loop, rounds: int, seconds: float) -> list[tuple[float, float]]:
    """(our speed, the anchor's) of each round."""
    speeds = in_turns({"ours": ours, "anchor": anchor}, rounds, seconds)
    return [(one["ours"], one["anchor"]) for one in speeds]


def in_turns(loops: Mapping[str, Loop], rounds: int, seconds: float) -> list[dict[str, float]]:
    """The speed of each loop in each round; the order is turned round from round to round."""
    orders = (list(loops), list(reversed(loops)))
    return [{name: loops[name].images_per_second(seconds) for name in orders[number % 2]} for number in range(rounds)]
