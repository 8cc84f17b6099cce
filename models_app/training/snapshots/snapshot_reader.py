"""A snapshot at rest: which files it has, and whether they still are what was written."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np

from digits_project.common.digests import sha256
from digits_project.common.errors import BadInput

FILES = {"onnx": "model.onnx", "weights": "weights.npz", "optimizer": "optimizer.npz"}
DESCRIPTION = "snapshot.json"

OLD_STATE_NAMES = {"best_merit": "best_score", "stale": "wait"}  # up to version 0.1

# What NumPy and zipfile raise for a file that is no .npz, or one that is damaged or encrypted.
NOT_ARRAYS = (ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError, BadZipFile, zlib.error)


@dataclass(frozen=True)
class TrainingState:
    """Where in the training a snapshot is taken. `iteration` is how many batches have been trained."""

    epoch: float
    iteration: int
    batch_size: int
    learning_rate: float
    seed: int
    batch_accumulation: int = 1
    best_score: float | None = None  # of EarlyStopping, as is `wait`
    wait: int = 0


def is_whole(directory: Path) -> bool:
    """Whether every file of the snapshot is there and what was written."""
    try:
        _described(directory)
    except BadInput:
        return False
    return True


def read_snapshot(directory: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], TrainingState]:
    """Weights, optimizer state and training state of a snapshot. Raises BadInput if a file is not what was written."""
    description = _described(directory)
    try:
        state = TrainingState(**_state_fields(description))
    except TypeError as error:
        raise BadInput(f"{directory} is not a whole snapshot: {error}") from error
    return load_arrays(directory / FILES["weights"]), load_arrays(directory / FILES["optimizer"]), state


def _state_fields(description: dict) -> dict:
    """The fields of TrainingState in a snapshot's description, also from one written under their earlier names."""
    described = {OLD_STATE_NAMES.get(name, name): value for name, value in description.items()}
    return {name: described[name] for name in TrainingState.__dataclass_fields__ if name in described}


def _described(directory: Path) -> dict:
    """What the snapshot says of itself, once its files have the digests that stand there. Raises BadInput."""
    try:
        description = json.loads((directory / DESCRIPTION).read_text(encoding="utf-8"))
        for name in FILES.values():
            if sha256(directory / name) != description["sha256"][name]:
                raise BadInput(f"{directory / name} is damaged")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{directory} is not a whole snapshot: {error}") from error
    return description


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


def array_shapes(path: Path, wanted: Collection[str]) -> dict[str, tuple[int, ...]]:
    """The names of the arrays of an .npz file, and the shapes of those that are wanted; of the others (). Raises as
    load_arrays()."""
    try:
        with ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            return {name: _shape_of(archive, name) if name in wanted else () for name in names}
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
