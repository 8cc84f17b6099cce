"""Speed of the steps of the MXNet engine, training and validation, against PyTorch, MXNet's Gluon and a bare loop."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.loops.rounds import DEFAULT_THREADS, TORCH_PYTHON, Loop, alternate
from benchmarks.report import NO_TORCH, LeftOut, Row, against
from digits_project.common.resources import usable_cores

ENGINE, GLUON, BARE, TORCH = ("engine_loop", "gluon_loop", "bare_mxnet_loop", "torch_loop")

# what is done, network, image size, batch size, channels, seconds of a round, anchor, goal
SETTINGS = (
    ("train", "resnet18", 64, 32, 3, 4, TORCH, 1.1),
    ("validate", "resnet18", 64, 32, 3, 2, TORCH, None),
    ("train", "resnet18", 224, 16, 3, 8, GLUON, 0.97),
    ("train", "mobilenet_v2", 224, 16, 3, 8, GLUON, 0.97),
    ("train", "lenet", 28, 64, 1, 3, BARE, 0.97),
    ("train", "lenet", 32, 64, 3, 3, TORCH, None),
)
TITLES = {GLUON: "Gluon", BARE: "bare MXNet", TORCH: "PyTorch"}


def rows(rounds: int) -> Iterator[Row | LeftOut]:
    """A row for each setting."""
    for mode, network, size, batch_size, channels, seconds, anchor, goal in SETTINGS:
        title = f"{mode} {network} {size}, batch {batch_size}"
        if anchor == TORCH and not TORCH_PYTHON:
            yield LeftOut(f"{title}, against {TITLES[TORCH]}", NO_TORCH)
            continue
        numbers = [str(number) for number in (size, batch_size, channels)]
        with ExitStack() as running:
            ours = running.enter_context(loop(ENGINE, "mxnet", network, *numbers, mode))
            theirs = running.enter_context(anchor_loop(anchor, network, numbers, mode))
            pairs = alternate(ours, theirs, rounds, seconds)
        yield against(title, "images/s", TITLES[anchor], pairs, goal)


def anchor_loop(name: str, network: str, numbers: list[str], mode: str) -> Loop:
    """The loop of an anchor."""
    if name == TORCH:
        return loop(name, network, *numbers, str(usable_cores()), mode, python=TORCH_PYTHON)
    return loop(name, *([] if name == BARE else [network]), *numbers, **DEFAULT_THREADS)


def loop(name: str, *arguments: str, python: str = sys.executable, **settings: str) -> Loop:
    """A loop of benchmarks/loops, with all cores."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(usable_cores()), **settings}
    return Loop([python, "-m", f"benchmarks.loops.{name}", *arguments], environment)
