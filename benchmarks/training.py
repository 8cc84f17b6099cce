"""Training speed of the engine's steps, against PyTorch, MXNet's own Gluon networks and a bare MXNet loop."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.loops.rounds import TORCH_PYTHON, Loop, alternate
from benchmarks.report import Row, against
from digits_project.common.resources import usable_cores

ENGINE, GLUON, BARE, TORCH = ("engine_loop", "gluon_loop", "bare_mxnet_loop", "torch_loop")

# network, image size, batch size, channels, seconds of a round, (anchor, goal) …
SETTINGS = (
    ("resnet18", 64, 32, 3, 4, ((TORCH, 1.1),)),
    ("resnet18", 224, 16, 3, 8, ((GLUON, 0.97),)),
    ("mobilenet_v2", 224, 16, 3, 8, ((GLUON, 0.97),)),
    ("lenet", 28, 64, 1, 3, ((BARE, 0.97),)),
    ("lenet", 32, 64, 3, 3, ((TORCH, None),)),
)
TITLES = {GLUON: "Gluon", BARE: "bare MXNet", TORCH: "PyTorch"}


def rows(rounds: int = 5) -> Iterator[Row]:
    """A row for each network and anchor."""
    for network, size, batch_size, channels, seconds, anchors in SETTINGS:
        numbers = [str(number) for number in (size, batch_size, channels)]
        for anchor, goal in anchors:
            if anchor == TORCH and not TORCH_PYTHON:
                continue
            with ExitStack() as running:
                ours = running.enter_context(_loop(ENGINE, "mxnet", network, *numbers))
                theirs = running.enter_context(_anchor(anchor, network, numbers))
                pairs = alternate(ours, theirs, rounds, seconds)
            title = f"train {network} {size}, batch {batch_size}"
            yield against(title, "images/s", TITLES[anchor], pairs, goal)


def _anchor(name: str, network: str, numbers: list[str]) -> Loop:
    if name == TORCH:
        return _loop(name, network, *numbers, str(usable_cores()), python=TORCH_PYTHON)
    return _loop(name, *([] if name == BARE else [network]), *numbers)


def _loop(name: str, *arguments: str, python: str = sys.executable) -> Loop:
    environment = {**os.environ, "OMP_NUM_THREADS": str(usable_cores())}
    return Loop([python, "-m", f"benchmarks.loops.{name}", *arguments], environment)
