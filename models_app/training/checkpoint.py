"""Snapshots: a folder with weights, optimizer state and model.onnx, whole or not there at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from digits_project.errors import BadInput
from digits_project.onnx_runtime import open_session
from models_app.networks import Network
from models_app.networks.onnx import write_onnx
from models_app.training.diverged import Diverged
from models_app.training.engines.base import Engine
from models_app.training.layout import centred
from models_app.training.partial import partial

FILES = {"onnx": "model.onnx", "weights": "weights.npz", "optimizer": "optimizer.npz"}
DESCRIPTION = "snapshot.json"

# Between two engines on the same weights 1e-6 is usual; a layer that means something else differs by far more.
TOLERANCE = 1e-4

# What NumPy and zipfile raise for a file that is no .npz, or one that is damaged or encrypted.
NOT_ARRAYS = (ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError, BadZipFile, zlib.error)


class EnginesDisagree(Exception):
    """model.onnx does not compute what the engine does: a fault of ours, so nothing of the snapshot is kept."""


@dataclass(frozen=True)
class Model:
    """What stays the same through a training and belongs into every model.onnx."""

    network: Network
    mean: np.ndarray | None
    labels: tuple[str, ...]
    metadata: Mapping[str, str]


@dataclass(frozen=True)
class Moment:
    """Where in the training a snapshot is taken. `iteration` is how many batches have been trained."""

    epoch: float
    iteration: int
    batch_size: int
    learning_rate: float
    seed: int
    batch_accumulation: int = 1


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that was written, and how far model.onnx was from the engine on the sample."""

    directory: Path
    max_difference: float


def write_snapshot(
    folder: Path, engine: Engine, model: Model, moment: Moment, sample: np.ndarray, threads: int
) -> Snapshot:
    """Write folder/epoch-<epoch>, replacing one of the same epoch.

    `sample` (uint8, n×C×H×W) is what model.onnx and the engine are compared on: images as the dataset has them, for
    model.onnx takes the middle of them by itself. Raises EnginesDisagree or Diverged.
    """
    target = folder / f"epoch-{moment.epoch:g}"
    with partial(folder / f".partial-{target.name}") as aside:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        weights = engine.weights()
        if not all(np.isfinite(array).all() for array in weights.values()):
            raise Diverged("the weights are not numbers", moment.epoch, moment.learning_rate)
        _save_arrays(aside / FILES["weights"], weights)
        _save_arrays(aside / FILES["optimizer"], engine.optimizer_state())
        metadata = {**model.metadata, "epoch": f"{moment.epoch:g}"}
        onnx = aside / FILES["onnx"]
        write_onnx(model.network, weights, onnx, model.mean, model.labels, metadata, sample.shape[1:])
        expected = engine.forward(centred(sample, model.network.input_shape))
        if not all(np.isfinite(array).all() for array in expected.values()):
            raise Diverged("the answers are not numbers", moment.epoch, moment.learning_rate)
        difference = _difference(onnx, expected, sample, threads)
        _describe(aside, moment, model.network)
        _publish(aside, target)
    return Snapshot(target, difference)


def read_snapshot(directory: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Moment]:
    """Weights, optimizer state and moment of a snapshot. Raises BadInput if a file is not what was written."""
    try:
        description = json.loads((directory / DESCRIPTION).read_text(encoding="utf-8"))
        for name, digest in description["sha256"].items():
            if _sha256(directory / name) != digest:
                raise BadInput(f"{directory / name} is damaged")
        moment = Moment(**{name: description[name] for name in Moment.__dataclass_fields__})
        return load_arrays(directory / FILES["weights"]), load_arrays(directory / FILES["optimizer"]), moment
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{directory} is not a whole snapshot: {error}") from error


def load_arrays(path: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, np.ndarray]:
    """Named arrays of an .npz file; with `shapes` only those of them that have their shape, the others are not read.

    Never unpickles. Raises BadInput if the file is anything else, OSError if it is not there.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if shapes is None:
                return {name: arrays[name] for name in arrays.files}
            wanted = [name for name in arrays.files if name in shapes]
            return {name: arrays[name] for name in wanted if _shape_of(arrays.zip, name) == shapes[name]}
    except NOT_ARRAYS as error:
        raise BadInput(f"{path} does not hold arrays: {error}") from error


def _shape_of(archive: ZipFile, name: str) -> tuple[int, ...]:
    """As the array's header says. Raises ValueError if it is not an array of numbers."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
    if dtype.kind not in "fiu":
        raise ValueError(f"{name} is of type {dtype}, not numbers")
    return shape


def _save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    np.savez(path, **arrays)


def _difference(path: Path, expected: Mapping[str, np.ndarray], sample: np.ndarray, threads: int) -> float:
    """The largest difference in any output between ONNX Runtime and what the engine answered."""
    session = open_session(path, threads)
    feed = {session.get_inputs()[0].name: sample.astype(np.float32)}
    outputs = dict(zip(expected, session.run(list(expected), feed), strict=True))
    difference = float(np.max([np.abs(outputs[name] - expected[name]).max() for name in expected]))  # nan stays nan
    if not difference <= TOLERANCE:
        raise EnginesDisagree(f"model.onnx differs from the engine by {difference:g}, more than {TOLERANCE:g}")
    return difference


def _describe(directory: Path, moment: Moment, network: Network) -> None:
    digests = {name: _sha256(directory / name) for name in FILES.values()}
    description = {**asdict(moment), "sha256": digests, "network": network.to_dict()}
    (directory / DESCRIPTION).write_text(json.dumps(description, indent=2), encoding="utf-8")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _publish(aside: Path, target: Path) -> None:
    """Make the folder durable, then visible."""
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
