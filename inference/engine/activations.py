"""Computes the activations of each layer for an image. Plain Python, without the onnx package."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from digits_project.common.onnx_runtime import open_session
from digits_project.common.protobuf import field

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MAX_BYTES_A_RUN = 128 << 20  # of the values that one run returns
BYTES_A_NUMBER = 4

# Where onnx.proto has them: ModelProto.graph, GraphProto.output, ValueInfoProto.name.
GRAPH, OUTPUT, NAME = 7, 12, 1


def activations(
    onnx_file: Path, names: Sequence[str], feed: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, array) for each named value of the graph, computed for the first image of `feed`.

    Only some of the values are in memory at a time: if they do not fit one run, several runs compute them.
    """
    feed = {name: batch[:1] for name, batch in feed.items()}
    yield from ((name, feed[name][0]) for name in names if name in feed)
    names = [name for name in names if name not in feed]
    session = _session(onnx_file, names)
    sizes = {output.name: _least_numbers(output.shape[1:]) * BYTES_A_NUMBER for output in session.get_outputs()}
    for some in _runs(names, sizes):
        values = session.run(some, feed)
        for name in some:
            yield name, values.pop(0)[0]


def _least_numbers(shape: Sequence[object]) -> int:
    """How many numbers a value of this shape has; sizes that are only known at run time count as 1."""
    return math.prod(size for size in shape if isinstance(size, int))


def _session(onnx_file: Path, names: Sequence[str]) -> InferenceSession:
    """The model with these values of its graph as further outputs."""
    with tempfile.NamedTemporaryFile(suffix=".onnx") as file:
        with onnx_file.open("rb") as model:
            shutil.copyfileobj(model, file)
        file.write(_more_outputs(names))
        file.flush()
        return open_session(Path(file.name), for_one_run=True)


def _more_outputs(names: Sequence[str]) -> bytes:
    """Protobuf bytes that, appended to a model's file, make those values outputs: protobuf merges repeated messages."""
    return field(GRAPH, b"".join(field(OUTPUT, field(NAME, name.encode())) for name in names))


def _runs(names: Sequence[str], sizes: dict[str, int]) -> Iterator[list[str]]:
    """The names in groups, so that the values of a group fit one run."""
    some: list[str] = []
    for name in names:
        if some and sum(sizes[kept] for kept in some) + sizes[name] > MAX_BYTES_A_RUN:
            yield some
            some = []
        some.append(name)
    if some:
        yield some
