"""Reads a snapshot: its files, their digests, and the training state in them; the format of its arrays."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import BinaryIO
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np

from digits_project.common.digests import sha256
from digits_project.common.errors import NOT_ARRAYS, BadInput
from models_app.networks import Network
from models_app.training.snapshots.onnx_arrays import onnx_weights

# model.onnx holds the weights; weights.npz only those that model.onnx lacks, such as those of layers for the training
# alone. In snapshots of earlier versions weights.npz has all. The server deletes optimizer.npz of older snapshots.
FILES = {"onnx": "model.onnx", "weights": "weights.npz", "optimizer": "optimizer.npz"}
DESCRIPTION = "snapshot.json"

OLD_STATE_NAMES = {"best_merit": "best_score", "stale": "wait"}  # up to version 0.1

COMPRESSIONS = (ZIP_STORED, ZIP_DEFLATED)  # of NumPy
MAX_REASON = 200  # characters


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
    plateaus: int = 0  # that the validation has had


def is_whole(directory: Path) -> bool:
    """Whether every file of the snapshot exists and has its digest. The optimizer's state can have been deleted."""
    try:
        _described(directory)
    except BadInput:
        return False
    return True


def can_resume(directory: Path) -> bool:
    """Whether a training can go on from this snapshot: it is whole and still has the optimizer's state."""
    return (directory / FILES["optimizer"]).exists() and is_whole(directory)


def read_snapshot(directory: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], TrainingState]:
    """Weights, optimizer state and training state of a snapshot. Raises BadInput if a file is missing or damaged."""
    description = _described(directory)
    try:
        state = TrainingState(**_state_fields(description))
        network = Network.from_dict(description["network"])
        optimizer_state = load_arrays(directory / FILES["optimizer"])
    except (OSError, KeyError, TypeError) as error:
        raise BadInput(f"{directory} is not a complete snapshot: {error}") from error
    return load_weights(directory, [weight.name for weight in network.weights()]), optimizer_state, state


def load_weights(directory: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """These weights of a snapshot. Raises as StoredWeights.load()."""
    return StoredWeights(directory).load(names)


class StoredWeights:
    """The weights of a snapshot, for code that loads few at a time. model.onnx is searched for them only once."""

    def __init__(self, directory: Path):
        self._directory = directory
        self._in_onnx = cache(partial(onnx_weights, directory / FILES["onnx"]))

    def load(self, names: Iterable[str]) -> dict[str, np.ndarray]:
        """These weights. Raises BadInput if one is missing or a file is damaged, OSError without files."""
        apart = self._directory / FILES["weights"]
        names = list(names)
        arrays = load_arrays(apart, names) if apart.exists() else {}
        missing = [name for name in names if name not in arrays]
        held = self._in_onnx() if missing else {}
        if absent := [name for name in missing if name not in held]:
            raise BadInput(f"{self._directory} has no weights named {absent[0]}")
        return {name: arrays[name] if name in arrays else held[name].copy() for name in names}


def _state_fields(description: dict) -> dict:
    """The fields of TrainingState in a snapshot's description, also from one written under their earlier names."""
    described = {OLD_STATE_NAMES.get(name, name): value for name, value in description.items()}
    return {name: described[name] for name in TrainingState.__dataclass_fields__ if name in described}


def _described(directory: Path) -> dict:
    """snapshot.json, after checking the files against its digests. Raises BadInput."""
    try:
        description = json.loads((directory / DESCRIPTION).read_text(encoding="utf-8"))
        for name, digest in description["sha256"].items():
            if name == FILES["optimizer"] and not (directory / name).exists():
                continue
            if sha256(directory / name) != digest:
                raise BadInput(f"{directory / name} is damaged")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{directory} is not a complete snapshot: {error}") from error
    return description


def load_arrays(
    path: Path, wanted: Collection[str] | Mapping[str, tuple[int, ...]] | None = None
) -> dict[str, np.ndarray]:
    """The named arrays of an .npz file; of `wanted` only those with these names, and if it has shapes, these shapes.

    Never unpickles. Raises BadInput if the file is anything else, OSError if it is missing.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            _check_compressions(arrays.zip)
            names = arrays.files if wanted is None else [name for name in arrays.files if name in wanted]
            if isinstance(wanted, Mapping):
                names = [name for name in names if _shape_of(arrays.zip, name) == wanted[name]]
            return {name: arrays[name] for name in names}
    except NOT_ARRAYS as error:
        raise BadInput(f"{path} does not hold arrays: {_reason(error)}") from error


def load_array(path: Path) -> np.ndarray:
    """The numbers in an .npy file. Raises BadInput if the file is anything else, OSError if it is missing."""
    try:
        array = np.load(path, allow_pickle=False)
        if array.dtype.kind not in "fiu":
            raise ValueError(f"it is of type {array.dtype}, not numbers")
    except NOT_ARRAYS as error:
        raise BadInput(f"{path.name} can't be used: {_reason(error)}") from error
    return array


def save_arrays(target: Path | BinaryIO, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays by name as .npz."""
    np.savez(target, **arrays)  # type: ignore[arg-type]


def array_shapes(path: Path, wanted: Collection[str]) -> dict[str, tuple[int, ...]]:
    """{name: shape} of the arrays of an .npz file; () for arrays that are not in `wanted`. Raises as load_arrays()."""
    try:
        with ZipFile(path) as archive:
            _check_compressions(archive)
            names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
            return {name: _shape_of(archive, name) if name in wanted else () for name in names}
    except NOT_ARRAYS as error:
        raise BadInput(f"{path} does not hold arrays: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """What a library says about a file, which can quote it; its MemoryError can be without text."""
    return str(error)[:MAX_REASON] or type(error).__name__


def _check_compressions(archive: ZipFile) -> None:
    """Raise ValueError for compressions that NumPy does not use; the libraries of some have errors of their own."""
    if odd := [member.filename for member in archive.infolist() if member.compress_type not in COMPRESSIONS]:
        raise ValueError(f"{odd[0]!r:.60} is compressed in another way than NumPy compresses")


def _shape_of(archive: ZipFile, name: str) -> tuple[int, ...]:
    """The shape in an array's header. Raises ValueError if it is not an array of numbers."""
    with archive.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(file)
    if dtype.kind not in "fiu":
        raise ValueError(f"{name} is of type {dtype}, not numbers")
    return shape
