"""The initial weights of a training: from a file for every layer that matches, else drawn from the seed."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np

from digits_project.common.confined_files import EVERYWHERE, open_file
from digits_project.common.digests import sha256
from digits_project.common.errors import BadInput
from models_app.networks import Network, TimmNetwork
from models_app.networks.caffemodel import read_layers
from models_app.networks.layers.layer_type import describe
from models_app.networks.pretrained.foreign_weights import (
    READERS,
    fits_without_colours,
    read_foreign,
    without_colours,
)
from models_app.networks.pretrained.packaged import find_packaged
from models_app.networks.resolve import FileWeights, Weight
from models_app.training.snapshots.onnx_arrays import onnx_weights
from models_app.training.snapshots.snapshot_reader import DESCRIPTION, FILES, array_shapes, load_arrays

MAX_NAMED = 10  # layers in one message
MAX_NAME = 60  # characters of a name from the file

Shape = tuple[int, ...]
Shapes = list[Shape]
Arrays = dict[str, np.ndarray]


@dataclass(frozen=True)
class StartingWeights:
    """All of Network.weights(), the names of the layers with weights from the file, and of those with random weights.

    `warnings` give the reason for each layer with random weights, if there is a file. `in_file`: the shapes of the
    file's layers that the network has too.
    """

    arrays: dict[str, np.ndarray]
    taken_over: tuple[str, ...]
    afresh: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    in_file: Mapping[str, Shapes] = field(default_factory=dict)


def starting_weights(
    network: Network,
    seed: int | None,
    source: str | None,
    roots: Sequence[str | Path] = EVERYWHERE,
    draw: Callable[[int], Arrays] | None = None,
    resize: Callable[[Arrays], Arrays] | None = None,
) -> StartingWeights:
    """The initial weights. `source` is "packaged:<name>", or the path, under `roots`, of a snapshot's folder or a
    file in it, of a model.onnx of this server, an .npz, a .caffemodel, a .safetensors or a file of PyTorch.

    A layer matches if the file has all its weights in the same shapes. With `seed` None the other layers get no
    weights. `draw` returns the random weights for a seed; None: the network's own. `resize` returns weights of the
    network for images of another size in the shapes of this one; None: such weights don't match. Raises BadInput if the
    file can't be read, has a value that is not a finite number, or matches no layer of the network.
    """
    arrays = {} if seed is None else (draw or network.initial_weights)(seed)
    layers: dict[str, list[Weight]] = {}
    for weight in network.weights():
        layers.setdefault(weight.layer, []).append(weight)
    if not source:
        return StartingWeights(arrays, (), tuple(layers))
    file = _read(source, roots, network)
    if resize and isinstance(network, TimmNetwork):
        file.arrays.update(_resized(file, source, roots, network, resize))
    taken = tuple(layer for layer, weights in layers.items() if {weight.name for weight in weights} <= set(file.arrays))
    if not taken:
        raise BadInput(
            f"{source} has no weights for any layer of the network: names and shapes must be the same. Layers of "
            f"the file: {_named(file.layers)}; of the network: {_named(layers)}"
        )
    for weight in (weight for layer in taken for weight in layers[layer]):
        arrays[weight.name] = _checked(weight.name, file.arrays[weight.name], source)
    afresh = tuple(layer for layer in layers if layer not in taken)
    warnings = _warnings(file, {name: layers[name] for name in afresh}, layers)
    return StartingWeights(arrays, taken, afresh, tuple(warnings), file.layers)


def _resized(
    file: FileWeights,
    source: str,
    roots: Sequence[str | Path],
    network: TimmNetwork,
    resize: Callable[[Arrays], Arrays],
) -> Arrays:
    """The weights that the file has for images of another size; those of the head don't depend on it."""
    misfits = {name: shape for name, shape in file.misfits.items() if not network.is_head(name)}
    if not misfits:
        return {}
    resized = resize(_read(source, roots, network.with_shapes(misfits)).arrays)
    return {name: resized[name] for name in misfits if name in resized}


def shapes_in(path: Path) -> dict[str, tuple[int, ...]]:
    """The shapes of the weights in an .npz or a model.onnx of this server, by name. Raises BadInput."""
    arrays = onnx_weights(path) if path.suffix == ".onnx" else load_arrays(path)
    return {name: array.shape for name, array in arrays.items()}


def _warnings(file: FileWeights, afresh: dict[str, list[Weight]], layers: Iterable[str]) -> list[str]:
    """One warning for each layer that starts with random weights, and one that names the file's unused layers."""
    warnings = [
        f"Layer {name} starts with random weights: {_why(file.layers.get(name), weights)}"
        for name, weights in islice(afresh.items(), MAX_NAMED)
    ]
    if len(afresh) > MAX_NAMED:
        warnings.append(
            f"{len(afresh) - MAX_NAMED} more layers start with random weights: {_named(list(afresh)[MAX_NAMED:])}"
        )
    spare = [name for name in file.layers if name not in layers]
    if afresh and spare:
        warnings.append(f"The file has layers that the network does not have: {_named(spare)}")
    return warnings


def _why(found: Shapes | None, weights: list[Weight]) -> str:
    if found is None:
        return "the file has no layer with this name"
    shapes = (" and ".join(map(describe, one)) for one in (found, [weight.shape for weight in weights]))
    return "its shapes are {} in the file, {} in the network".format(*shapes)


def _named(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(map(_shown, names[:MAX_NAMED])) + ", …" * (len(names) > MAX_NAMED) or "none"


def _shown(name: str) -> str:
    name = name[:MAX_NAME]
    return name if name.isprintable() else ascii(name)


def _read(source: str, roots: Sequence[str | Path], network: Network) -> FileWeights:
    if packaged := find_packaged(source):
        with packaged.opened() as file:
            return read_foreign(file, Path(packaged.file).suffix, network)
    return _read_path(Path(source), roots, network)


def _read_path(path: Path, roots: Sequence[str | Path], network: Network) -> FileWeights:
    readable = [Path(root) for root in roots]
    try:
        with ExitStack() as opened:
            files = [(part, opened.enter_context(open_file(part, readable))) for part in _parts(path)]
            digests = _digests(path if path.is_dir() else path.parent, readable)
            found = [_read_part(part, file, network, digests.get(part.name)) for part, file in files]
    except OSError as error:
        raise BadInput(f"the weights to start from can't be read: {path}: {error.strerror or error}") from error
    first, *further = found
    for part in further:  # of a weight that is in two parts the first counts
        first.arrays.update({name: array for name, array in part.arrays.items() if name not in first.arrays})
        first.layers.update({name: shapes for name, shapes in part.layers.items() if name not in first.layers})
    return first


def _parts(path: Path) -> list[Path]:
    """The files that hold the weights: of a snapshot weights.npz and model.onnx, each if there is one."""
    folder = path if path.is_dir() else path.parent
    if folder != path and not (path.name in FILES.values() and (folder / DESCRIPTION).exists()):
        return [path]
    parts = [folder / FILES[name] for name in ("weights", "onnx")]
    return [part for part in parts if part.exists()] or parts[:1]


def _digests(folder: Path, roots: Sequence[Path]) -> dict[str, str]:
    """The SHA-256 of the files of a snapshot; none if the folder is no snapshot."""
    try:
        with open_file(folder / DESCRIPTION, roots) as file:
            return dict(json.load(file)["sha256"])
    except (OSError, BadInput, ValueError, KeyError, TypeError):
        return {}


def _read_part(path: Path, file: BinaryIO, network: Network, digest: str | None) -> FileWeights:
    itself = Path(f"/proc/self/fd/{file.fileno()}")  # the file that was checked
    if digest and sha256(itself) != digest:
        raise BadInput(f"{path} is damaged: it is not what the training wrote (its SHA-256 differs)")
    try:
        if path.suffix in READERS:
            return read_foreign(file, path.suffix, network)
        return (OF_PATHS.get(path.suffix) or _read_arrays)(itself, network)
    except BadInput as wrong:
        raise BadInput(str(wrong).replace(str(itself), str(path))) from wrong


def _read_onnx(path: Path, network: Network) -> FileWeights:
    shapes = {weight.name: weight.shape for weight in network.weights()}
    held = onnx_weights(path)
    fitting = _fitting(shapes, held)
    found = {name: array.shape if name in shapes else () for name, array in held.items()}
    return FileWeights(fitting, _by_layer(found), _misfits(fitting, {name: found[name] for name in held}, shapes))


def _read_arrays(path: Path, network: Network) -> FileWeights:
    shapes = {weight.name: weight.shape for weight in network.weights()}
    found = array_shapes(path, shapes)
    wanted = {name: found[name] for name in shapes if name in found and _fits(shapes[name], found[name])}
    fitting = _fitting(shapes, load_arrays(path, wanted))
    return FileWeights(fitting, _by_layer(found), _misfits(fitting, found, shapes))


def _misfits(fitting: Container[str], found: Mapping[str, Shape], shapes: Container[str]) -> dict[str, Shape]:
    return {name: shape for name, shape in found.items() if name in shapes and name not in fitting}


def _fits(shape: Shape, found: Shape) -> bool:
    return shape == found or fits_without_colours(shape, found)


def _fitting(shapes: Mapping[str, Shape], arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The arrays of these shapes; filters of three colours, for gray images, summed up."""
    fitting = {name: array for name, array in arrays.items() if name in shapes and _fits(shapes[name], array.shape)}
    return {name: array if array.shape == shapes[name] else without_colours(array) for name, array in fitting.items()}


OF_PATHS = {".caffemodel": read_layers, ".onnx": _read_onnx}


def _by_layer(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Shapes]:
    """The shapes of the weights of each layer."""
    layers: dict[str, Shapes] = {}
    for name, shape in shapes.items():
        layers.setdefault(name.rpartition(".")[0] or name, []).append(shape)
    return layers


def _checked(name: str, array: np.ndarray, source: str | None) -> np.ndarray:
    if not np.isfinite(array).all():
        raise BadInput(f"{source}: {name} holds values that are not numbers")
    return array.astype(np.float32, copy=not array.flags.writeable)
