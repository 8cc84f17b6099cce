"""Speed of both engines: against a bare loop of the library of each, against each other, and of PyTorch's engine with a
compiled network against the same without. All loops of a setting run in turns."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks.loops.rounds import TORCH_PYTHON, Loop, in_turns
from benchmarks.report import NO_TORCH, LeftOut, Row, against
from benchmarks.training import BARE, ENGINE, GLUON, TITLES, TORCH, anchor_loop, loop

# what is done, network, image size, batch size, channels, seconds of a round, the bare loop of MXNet ("": none)
SETTINGS = (
    ("train", "resnet18", 64, 32, 3, 4, GLUON),
    ("train", "lenet", 28, 64, 1, 3, BARE),
    ("validate", "resnet18", 64, 32, 3, 2, ""),
)
COMPILED = ("cpu", json.dumps({"compile_network": True}))


def rows(rounds: int) -> Iterator[Row | LeftOut]:
    """The rows of each setting."""
    for mode, network, size, batch_size, channels, seconds, bare in SETTINGS:
        title = f"{mode} {network} {size}, batch {batch_size}"
        numbers = [str(number) for number in (size, batch_size, channels)]
        with ExitStack() as running:
            loops = {name: running.enter_context(one) for name, one in _loops(mode, network, numbers, bare)}
            speeds = in_turns(loops, rounds, seconds)
        for ours, anchor in _pairs(mode, bare):
            name = f"{title}, {ours}"
            if ours in loops and anchor in loops:
                pairs = [(round_[ours], round_[anchor]) for round_ in speeds]
                yield against(name, "images/s", TITLES.get(anchor, anchor), pairs, None)
            else:
                yield LeftOut(f"{name}, against {TITLES.get(anchor, anchor)}", NO_TORCH)


def _pairs(mode: str, bare: str) -> list[tuple[str, str]]:
    """The loops that are compared, each with its anchor."""
    pairs = [("mxnet", bare)] if bare else []
    pairs += [("torch", TORCH), ("torch", "mxnet")]
    return pairs + ([("torch compiled", "torch")] if mode == "train" else [])


def _loops(mode: str, network: str, numbers: list[str], bare: str) -> Iterator[tuple[str, Loop]]:
    """The loops of a setting by their names, started one after another."""
    yield "mxnet", loop(ENGINE, "mxnet", network, *numbers, mode)
    if bare:
        yield bare, anchor_loop(bare, network, numbers, mode)
    if TORCH_PYTHON:
        yield "torch", loop(ENGINE, "torch", network, *numbers, mode, python=TORCH_PYTHON)
        yield TORCH, anchor_loop(TORCH, network, numbers, mode)
        if mode == "train":
            yield "torch compiled", loop(ENGINE, "torch", network, *numbers, mode, *COMPILED, python=TORCH_PYTHON)
