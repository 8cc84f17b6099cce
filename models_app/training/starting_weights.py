"""The weights that a training starts from: a file's in every layer that matches, in the others drawn from the seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from digits_project.errors import BadInput
from digits_project.serverfiles import EVERYWHERE, open_file
from models_app.networks import Network
from models_app.networks.caffemodel import read_weights
from models_app.training.stored import FILES, load_arrays


@dataclass(frozen=True)
class StartingWeights:
    """All of Network.weights(), and the names of the layers that come from the file and of those that start afresh."""

    arrays: dict[str, np.ndarray]
    taken_over: tuple[str, ...]
    afresh: tuple[str, ...]


def starting_weights(
    network: Network, seed: int, source: str | None, roots: Sequence[str | Path] = EVERYWHERE
) -> StartingWeights:
    """`source` is the path of a snapshot's folder, of its weights, or of a .caffemodel; it has to lie under `roots`.

    A layer matches if all its weights are there, in the same shapes. Raises BadInput if the file can't be read, holds
    what is no number, or if no layer of the network matches.
    """
    arrays = network.initial_weights(seed)
    found = _read(Path(source), roots, network) if source else {}
    layers: dict[str, list[str]] = {}
    for weight in network.weights():
        layers.setdefault(weight.name.rpartition(".")[0], []).append(weight.name)
    taken = tuple(layer for layer, names in layers.items() if set(names) <= set(found))
    if source and not taken:
        raise BadInput(f"{source} has weights for no layer of the network: names and shapes must be the same")
    arrays.update({name: _checked(name, found[name], source) for layer in taken for name in layers[layer]})
    return StartingWeights(arrays, taken, tuple(layer for layer in layers if layer not in taken))


def _read(path: Path, roots: Sequence[str | Path], network: Network) -> dict[str, np.ndarray]:
    """The arrays of the file that the network has too, in the same shape."""
    try:
        with _opened(path, roots) as file:
            itself = Path(f"/proc/self/fd/{file.fileno()}")  # what was checked, whatever its path leads to now
            try:
                if path.suffix == ".caffemodel":
                    return read_weights(itself, network)
                return load_arrays(itself, {weight.name: weight.shape for weight in network.weights()})
            except BadInput as wrong:
                raise BadInput(str(wrong).replace(str(itself), str(path))) from wrong
    except OSError as error:
        raise BadInput(f"the weights to start from can't be read: {path}: {error.strerror or error}") from error


def _opened(path, roots):
    try:
        return open_file(path, roots)
    except IsADirectoryError:
        return open_file(path / FILES["weights"], roots)


def _checked(name: str, array: np.ndarray, source: str | None) -> np.ndarray:
    if not np.isfinite(array).all():
        raise BadInput(f"{source}: {name} holds what is no number")
    return array.astype(np.float32)
