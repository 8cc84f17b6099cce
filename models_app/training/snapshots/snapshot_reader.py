"""Reads a snapshot: its files, their digests, and the training state in them."""

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

# NumPy and zipfile raise these for a file that is not an .npz, or is damaged or encrypted.
NOT_ARRAYS = (ValueError, KeyError, TypeError, AttributeError, EOFError, RuntimeError, BadZipFile, zlib.error)


@dataclass(frozen=True)
class TrainingState:
    """The state of a training at a snapshot. `iteration` is the number of batches trained."""

    epoch: float
    iteration: int
    batch_size: int
    learning_rate: float
    seed: int
    batch_accumulation: int = 1
    best_score: float | None = None  # of EarlyStopping, as is `wait`
    wait: int = 0
    plateaus: int = 0  # of Plateaus its count, best_score and wait
    plateau_best: float | None = None
    plateau_wait: int = 0


def is_whole(directory: Path) -> bool:
    """Whether every file of the snapshot exists and has its digest."""
    try:
        _described(directory)
    except BadInput:
        return False
    return True


def read_snapshot(directory: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], TrainingState]:
    """Weights, optimizer state and training state of a snapshot. Raises BadInput if a file is missing or damaged."""
    description = _described(directory)
    try:
        state = TrainingState(**_state_fields(description))
    except TypeError as error:
        raise BadInput(f"{directory} is not a complete snapshot: {error}") from error
    return load_arrays(directory / FILES["weights"]), load_arrays(directory / FILES["optimizer"]), state


def _state_fields(description: dict) -> dict:
    """The fields of TrainingState in a snapshot's description, also from one written under their earlier names."""
    described = {OLD_STATE_NAMES.get(name, name): value for name, value in description.items()}
    return {name: described[name] for name in TrainingState.__dataclass_fields__ if name in described}


def _described(directory: Path) -> dict:
    """snapshot.json, after checking the files against its digests. Raises BadInput."""
    try:
        description = json.loads((directory / DESCRIPTION).read_text(encoding="utf-8"))
        for name in FILES.values():
            if sha256(directory / name) != description["sha256"][name]:
                raise BadInput(f"{directory / name} is damaged")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{directory} is not a complete snapshot: {error}") from error
    return description


def load_arrays(path: Path, shapes: Mapping[str, tuple[int, ...]] | None = None) -> dict[str, np.ndarray]:
    """The named arrays of an .npz file; with `shapes`, only the arrays of these names and shapes are read.

    Never unpickles. Raises BadInput if the file is anything else, OSError if it is missing.
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
    """{name: shape} of the arrays of an .npz file; () for arrays that are not in `wanted`. Raises as load_arrays()."""
    try:
        with ZipFile(path) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            return {name: _shape_of(archive, name) if name in wanted else () for name in names}
    except NOT_ARRAYS as error:
        raise BadInput(f"{path} does not hold arrays: {error}") from error


def _shape_of(archive: ZipFile, name: str) -> tuple[int, ...]:
    """The shape in an array's header. Raises ValueError if it is not an array of numbers."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
    if dtype.kind not in "fiu":
        raise ValueError(f"{name} is of type {dtype}, not numbers")
    return shape
