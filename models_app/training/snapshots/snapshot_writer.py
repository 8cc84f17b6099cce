"""Writes a snapshot: a folder with weights, optimizer state and model.onnx, either complete or not there at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import numpy as np

from datasets.imagedb.images.resize import InputResize
from digits_project.common.digests import sha256
from digits_project.common.onnx_runtime import open_session
from models_app.networks import Network
from models_app.training.data.crops import centred
from models_app.training.early_stopping import Diverged
from models_app.training.engines.interface import Engine
from models_app.training.snapshots.onnx_arrays import onnx_weights
from models_app.training.snapshots.snapshot_reader import DESCRIPTION, FILES, TrainingState, save_arrays
from models_app.training.snapshots.temporary_paths import partial

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Arrays: TypeAlias = dict[str, np.ndarray]

# Between two engines on the same weights 1e-6 is usual; a layer that means something else differs by far more.
TOLERANCE = 1e-4
NUDGE = 1e-6  # a relative change of pixels, somewhat above the rounding errors of float32


class EnginesDisagree(Exception):
    """The outputs of model.onnx differ from the engine's. This is a fault of the server, so the snapshot is
    discarded."""


@dataclass(frozen=True)
class Model:
    """The parts of a snapshot that stay the same during a training: all but weights and optimizer state.

    `labels` are the categories' names, and `metadata` further properties of model.onnx.
    """

    network: Network
    labels: tuple[str, ...]
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class SnapshotContents:
    """A written snapshot, and the difference between model.onnx and the engine on the sample."""

    directory: Path
    iteration: int
    max_difference: float


class EngineState(Protocol):
    """What a snapshot needs of an engine; see Engine."""

    def weights(self) -> Arrays: ...

    def optimizer_state(self) -> Arrays: ...

    def forward(self, images: np.ndarray) -> Arrays: ...

    @property
    def export(self) -> Callable[..., None]: ...


class EngineCopy:
    """The state of an engine at one moment. Another thread can write it while the engine continues.

    images: the only ones that forward() is called with, uint8 n×C×H×W as the network takes them.
    """

    def __init__(self, engine: Engine, images: np.ndarray) -> None:
        self._weights = engine.weights()
        self._optimizer_state = engine.optimizer_state()
        self._outputs = engine.forward(images)
        self.export = engine.export

    def weights(self) -> Arrays:
        return self._weights

    def optimizer_state(self) -> Arrays:
        return self._optimizer_state

    def forward(self, images: np.ndarray) -> Arrays:
        return self._outputs


def write_snapshot(
    folder: Path,
    engine: EngineState,
    model: Model,
    state: TrainingState,
    sample: np.ndarray,
    threads: int,
    check_wanted: Callable[[], None] = lambda: None,
) -> SnapshotContents:
    """Write folder/epoch-<epoch>, replacing an older one of the same epoch.

    `sample` (uint8, n×C×H×W) holds the images on which model.onnx and the engine are compared: whole images of the
    dataset, since model.onnx cuts out their middle by itself. `check_wanted` is called before the snapshot becomes
    visible, and can raise. Raises EnginesDisagree or Diverged.
    """
    target = folder / f"epoch-{state.epoch:g}"
    with partial(folder / f".partial-{target.name}") as aside:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        weights = engine.weights()
        if not all(np.isfinite(array).all() for array in weights.values()):
            raise Diverged("the weights are not numbers", state.epoch, state.learning_rate)
        onnx = aside / FILES["onnx"]
        metadata = {**model.metadata, "epoch": f"{state.epoch:g}"}
        engine.export(onnx, weights, model.labels, metadata, sample.shape[1:])
        save_weights_apart(aside, weights)
        del weights  # of a large network: optimizer state and check need the memory
        save_arrays(aside / FILES["optimizer"], engine.optimizer_state())
        expected = engine.forward(centred(sample, model.network.input_shape))
        if not all(np.isfinite(array).all() for array in expected.values()):
            raise Diverged("the answers are not numbers", state.epoch, state.learning_rate)
        session = open_session(onnx, threads)
        difference = _difference(_run(session, expected, sample), expected)
        if not difference <= TOLERANCE:  # nan is not
            if _rounding_decides(session, expected, sample):
                what = "the weights are so large that rounding errors decide about the answers"
                raise Diverged(what, state.epoch, state.learning_rate)
            raise EnginesDisagree(f"model.onnx differs from the engine by {difference:g}, more than {TOLERANCE:g}")
        del session
        _describe(aside, state, model)
        check_wanted()
        _publish(aside, target)
    return SnapshotContents(target, state.iteration, difference)


def save_weights_apart(directory: Path, weights: Mapping[str, np.ndarray]) -> None:
    """Write to weights.npz the weights that the folder's model.onnx does not hold bit for bit; no file if it holds
    all."""
    held = onnx_weights(directory / FILES["onnx"])
    apart = {name: array for name, array in weights.items() if name not in held or not _same_bits(held[name], array)}
    if apart:
        save_arrays(directory / FILES["weights"], apart)


def _same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    if other.dtype != np.float32 or one.shape != other.shape:
        return False
    return np.array_equal(one.ravel().view(np.uint32), other.ravel().view(np.uint32))


def _run(session: InferenceSession, names: Iterable[str], sample: np.ndarray) -> Arrays:
    """The outputs of ONNX Runtime for the sample."""
    feed = {session.get_inputs()[0].name: sample.astype(np.float32)}
    return dict(zip(names, session.run(list(names), feed), strict=True))


def _difference(outputs: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> float:
    """The largest difference in any output. If the output's largest value is above 1, as it can be in a regression, the
    difference is divided by it."""
    of_each = [np.abs(outputs[name] - answer).max() / max(1, np.abs(answer).max()) for name, answer in expected.items()]
    return float(np.max(of_each))  # nan stays nan


def _rounding_decides(session: InferenceSession, names: Iterable[str], sample: np.ndarray) -> bool:
    """Whether model.onnx itself answers differently if the pixels change by as little as rounding does."""
    nudged = sample.astype(np.float32)
    nudged.reshape(-1)[::2] *= 1 + NUDGE
    nudged.reshape(-1)[1::2] *= 1 - NUDGE
    return _difference(_run(session, names, nudged), _run(session, names, sample)) > TOLERANCE


def _describe(directory: Path, state: TrainingState, model: Model) -> None:
    digests = {path.name: sha256(path) for path in sorted(directory.iterdir())}
    resize = InputResize.from_properties(model.metadata)
    resized = {"input_resize": resize.to_dict()} if resize else {}
    description = {**asdict(state), "sha256": digests, **resized, "network": model.network.to_dict()}
    (directory / DESCRIPTION).write_text(json.dumps(description, indent=2), encoding="utf-8")


def _publish(aside: Path, target: Path) -> None:
    """Sync the folder to the disk, then rename it to its final name."""
    for path in [*aside.iterdir(), aside]:
        _sync(path)
    shutil.rmtree(target, ignore_errors=True)
    aside.rename(target)
    _sync(target.parent)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
