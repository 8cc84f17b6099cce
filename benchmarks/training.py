"""Speed of the steps of both engines, training and validation, against PyTorch, MXNet's Gluon and a bare MXNet loop."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.loops.rounds import DEFAULT_THREADS, TORCH_PYTHON, Loop, alternate
from benchmarks.report import NO_TORCH, LeftOut, Row, against
from digits_project.common.resources import usable_cores

ENGINE, GLUON, BARE, TORCH = ("engine_loop", "gluon_loop", "bare_mxnet_loop", "torch_loop")

# engine, what is done, network, image size, batch size, channels, seconds of a round, anchor, goal
SETTINGS = (
    ("mxnet", "train", "resnet18", 64, 32, 3, 4, TORCH, 1.1),
    ("mxnet", "validate", "resnet18", 64, 32, 3, 2, TORCH, None),
    ("mxnet", "train", "resnet18", 224, 16, 3, 8, GLUON, 0.97),
    ("mxnet", "train", "mobilenet_v2", 224, 16, 3, 8, GLUON, 0.97),
    ("mxnet", "train", "lenet", 28, 64, 1, 3, BARE, 0.97),
    ("mxnet", "train", "lenet", 32, 64, 3, 3, TORCH, None),
    ("torch", "train", "resnet18", 64, 32, 3, 4, TORCH, None),
    ("torch", "validate", "resnet18", 64, 32, 3, 2, TORCH, None),
    ("torch", "train", "lenet", 28, 64, 1, 3, TORCH, None),
)
PYTHONS = {"mxnet": sys.executable, "torch": TORCH_PYTHON}
TITLES = {GLUON: "Gluon", BARE: "bare MXNet", TORCH: "PyTorch"}


def rows(rounds: int) -> Iterator[Row | LeftOut]:
    """A row for each setting."""
    for engine, mode, network, size, batch_size, channels, seconds, anchor, goal in SETTINGS:
        title = f"{mode} {network} {size}, batch {batch_size}{'' if engine == 'mxnet' else f', {engine}'}"
        if anchor == TORCH and not TORCH_PYTHON:
            yield LeftOut(f"{title}, against {TITLES[TORCH]}", NO_TORCH)
            continue
        numbers = [str(number) for number in (size, batch_size, channels)]
        with ExitStack() as running:
            ours = running.enter_context(_loop(ENGINE, engine, network, *numbers, mode, python=PYTHONS[engine]))
            theirs = running.enter_context(_anchor(anchor, network, numbers, mode))
            pairs = alternate(ours, theirs, rounds, seconds)
        yield against(title, "images/s", TITLES[anchor], pairs, goal)


def _anchor(name: str, network: str, numbers: list[str], mode: str) -> Loop:
    if name == TORCH:
        return _loop(name, network, *numbers, str(usable_cores()), mode, python=TORCH_PYTHON)
    return _loop(name, *([] if name == BARE else [network]), *numbers, **DEFAULT_THREADS)


def _loop(name: str, *arguments: str, python: str = sys.executable, **settings: str) -> Loop:
    environment = {**os.environ, "OMP_NUM_THREADS": str(usable_cores()), **settings}
    return Loop([python, "-m", f"benchmarks.loops.{name}", *arguments], environment)
