"""Makes pretrained models from files of weights, from snapshots, and from archives that this server made."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from datasets import services as datasets
from datasets.imagedb.images.resize import InputResize
from digits_project.common.errors import BadInput
from digits_project.jobs.services import take_in
from models_app import networks
from models_app.networks import Network, TimmNetwork, prototxt
from models_app.networks.normalization import Normalization
from models_app.networks.pretrained.foreign_weights import READERS, foreign_shapes
from models_app.networks.resizing import Resizing
from models_app.networks.retrain import scoring_layers
from models_app.pretrained.archive_files import take_files
from models_app.pretrained.pretrained_model import PretrainedModel
from models_app.results import Snapshot
from models_app.sizes import input_sizes
from models_app.training.hyperparameters import MEAN_OF_DATASET
from models_app.training.snapshots.snapshot_check import read_description
from models_app.training.snapshots.snapshot_reader import load_array
from models_app.training.snapshots.snapshot_writer import save_arrays
from models_app.training.starting_weights import StartingWeights, shapes_in, starting_weights

OF_CAFFE = "{} is Caffe's variant; {} computes what PyTorch's libraries do with these weights, to the last digit"
NETWORK_FILE = "network.json"  # of an archive whose network is not made of Caffe's layers: Network.to_dict()
USUAL_CATEGORIES = 1000  # those of ImageNet, if neither labels nor the file say how many there are
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
MAX_SOURCE, MAX_JOB_NAME = 300, 255  # characters

# The files of an archive that are used, and their largest sizes in bytes.
OF_ARCHIVE = {
    "info.json": 1 << 20,
    "network.prototxt": 8 << 20,
    NETWORK_FILE: 8 << 20,
    "labels.txt": 16 << 20,
    "mean.npy": 256 << 20,
    "weights.npz": 4 << 30,
}


@dataclass(frozen=True)
class Design:
    """A network whose weights are in a file: a standard one by its name, else as prototxt; and what it looks at.

    image_shape: channels, height and width of the images that it takes.
    labels: the names of its categories; () if they are not known.
    normalization: what its weights expect; None: the standard network's own.
    resizing: how images were brought to its size; None: the standard network's own.
    """

    standard_network: str
    prototxt: str
    image_shape: tuple[int, int, int]
    labels: Sequence[str] = field(default=())
    normalization: Normalization | None = None
    resizing: Resizing | None = None

    def network(self, categories: int) -> Network:
        """The network for that many categories. Raises BadNetwork."""
        if self.standard_network:
            network = networks.standard(self.standard_network, self.image_shape, categories, 0)
        else:
            network = prototxt.read(self.prototxt, self.image_shape, categories)
        own = {"normalization": self.normalization, "resizing": self.resizing}
        return replace(network, **{name: fact for name, fact in own.items() if fact})  # type: ignore[arg-type]


def from_file(owner: str, name: str, design: Design, content: BinaryIO, file_name: str) -> PretrainedModel:
    """A pretrained model from a file of weights. Raises BadInput if the file can't be read or fits no layer."""

    def fill(row: PretrainedModel) -> None:
        given = row.directory / f"given.{file_name.rpartition('.')[2].lower()}"
        with given.open("xb") as file:
            for block in iter(partial(content.read, 1 << 20), b""):
                file.write(block)
        with _shown_as(file_name, given):
            network, found = _weights_for(design, given)
        variant = f"{design.standard_network}_torch"
        if variant in networks.STANDARD and given.suffix in READERS:
            found = replace(found, warnings=(*found.warnings, OF_CAFFE.format(design.standard_network, variant)))
        _store(row, network, found, design.standard_network, design.labels)
        given.unlink()

    return _taken_in(owner, name, f"file {file_name}", fill)


def from_archive(owner: str, content: BinaryIO, file_name: str, name: str = "") -> PretrainedModel:
    """A pretrained model from an archive that this server made. Raises BadInput if it lacks a file or is damaged."""

    def fill(row: PretrainedModel) -> None:
        files = take_files(content, file_name, OF_ARCHIVE, row.directory)
        missing = [part for part in _needed(files) if part not in files]
        if missing:
            raise BadInput(f"{file_name} has no {missing[0]}: it is not the archive of a classifier of this server")
        facts = _facts(files["info.json"])
        weights = files["weights.npz"].rename(row.directory / "given.npz")
        design = _design_of(files, facts)
        with _shown_as("weights.npz", weights):
            network, found = _weights_for(design, weights)
        row.name = name or _storable(str(facts.get("name") or file_name))[:MAX_JOB_NAME]
        _store(row, network, found, design.standard_network, design.labels)
        for path in (weights, *(path for part, path in files.items() if part != "weights.npz")):
            path.unlink()

    return _taken_in(owner, name or file_name, f"archive {file_name}", fill)


def from_snapshot(owner: str, snapshot: Snapshot, name: str = "") -> PretrainedModel:
    """A pretrained model from a snapshot, which can then be deleted. Raises BadInput if a file is damaged."""
    model = snapshot.trained_model
    network, image_shape = _trained_network(snapshot), model.dataset.image_shape
    resizing = Resizing.used(image_shape, network.input_shape, input_sizes.resize_of(model))
    network = replace(network, resizing=resizing)
    if model.use_mean in ("none", *MEAN_OF_DATASET):
        mean = datasets.mean_file(model.dataset) if model.use_mean in MEAN_OF_DATASET else None
        network = replace(network, normalization=_of_mean(mean, image_shape[0]))

    def fill(row: PretrainedModel) -> None:
        found = starting_weights(network, None, str(snapshot.directory))
        labels = model.dataset.categories if model.declared_kind.has_categories else ()
        _store(row, network, found, model.standard_network, labels)

    return _taken_in(owner, name or model.name, f"model {model.pk} at epoch {snapshot.epoch:g}", fill)


def _taken_in(owner: str, name: str, source: str, fill: Callable[[PretrainedModel], None]) -> PretrainedModel:
    row = PretrainedModel(owner=owner, name=name[:MAX_JOB_NAME], source=source[:MAX_SOURCE])
    row.full_clean(exclude=["job_id"])
    return take_in(row, fill)


@contextmanager
def _shown_as(name: str, path: Path) -> Iterator[None]:
    """BadInput names the file as its sender does, not by its path on the server."""
    try:
        yield
    except BadInput as wrong:
        raise BadInput(str(wrong).replace(str(path), name)) from wrong


def _weights_for(design: Design, path: Path) -> tuple[Network, StartingWeights]:
    """The network and its weights in a file. Without labels, the file says how many categories there are."""
    network = design.network(len(design.labels) or USUAL_CATEGORIES)
    if isinstance(network, TimmNetwork):
        return _timm_weights(network, path, len(design.labels))
    found = starting_weights(network, None, str(path), [path.parent])
    heads = [layer.name for layer in scoring_layers(network.layers) if layer.name in found.afresh]
    counts = {found.in_file[head][0][0] for head in heads if found.in_file.get(head) and found.in_file[head][0]}
    if design.labels and counts:
        raise BadInput(
            f"there are {len(design.labels)} labels, but the file's {heads[0]} gives scores to {max(counts)} categories"
        )
    if len(counts) != 1:
        return network, found
    network = design.network(counts.pop())
    return network, starting_weights(network, None, str(path), [path.parent])


def _timm_weights(network: TimmNetwork, path: Path, labels: int) -> tuple[Network, StartingWeights]:
    """The same for a network of timm: the file itself says which tensors it has."""
    with path.open("rb") as file:
        known = network.with_tensors(foreign_shapes(file, path.suffix) if path.suffix in READERS else shapes_in(path))
    if labels not in (0, known.categories):
        raise BadInput(f"there are {labels} labels, but the file's head gives scores to {known.categories} categories")
    return known, starting_weights(known, None, str(path), [path.parent])


def _trained_network(snapshot: Snapshot) -> Network:
    """The network of a snapshot; one of timm with the tensors that it was trained with."""
    network = snapshot.trained_model.network()
    if not isinstance(network, TimmNetwork):
        return network
    trained = Network.from_dict(read_description(snapshot.directory)["network"])
    return replace(network, tensors=trained.tensors) if isinstance(trained, TimmNetwork) else network


def _store(
    row: PretrainedModel, network: Network, found: StartingWeights, standard_network: str, labels: Sequence[str]
) -> None:
    """Write the weights that were found, and the columns."""
    taken = set(found.taken_over)
    save_arrays(row.weights_file, {w.name: found.arrays[w.name] for w in network.weights() if w.layer in taken})
    kept = replace(network, tensors={}) if isinstance(network, TimmNetwork) else network  # weights.npz names them
    row.network, row.standard_network = kept.to_dict(), standard_network
    row.labels = list(map(_storable, labels))
    heads = [layer.parameters["num_output"] for layer in scoring_layers(network.layers)]
    row.categories = heads[-1] if heads else 0
    row.taken_over, row.afresh, row.warnings = list(found.taken_over), list(found.afresh), list(found.warnings)
    row.save()


def _storable(text: str) -> str:
    """The text; escaped if it has a zero byte or half of a surrogate pair, which PostgreSQL does not store."""
    return ascii(text) if UNSTORABLE.search(text) else text


def _facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        image = facts["image"]
        facts["image_shape"] = tuple(int(image[part]) for part in ("channels", "height", "width"))
        resize = facts.get("input_resize")
        facts["resize"] = InputResize.from_dict(resize) if resize else None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise BadInput(f"its info.json can't be used ({type(error).__name__} {error})") from error
    return facts


def _needed(files: Container[str]) -> list[str]:
    """The names of the files that an archive must have."""
    network = NETWORK_FILE if NETWORK_FILE in files else "network.prototxt"
    return ["info.json", network, "labels.txt", "weights.npz"]


def _design_of(files: dict[str, Path], facts: dict[str, Any]) -> Design:
    try:
        of_timm = _timm_name(files[NETWORK_FILE]) if NETWORK_FILE in files else ""
        text = "" if of_timm else files["network.prototxt"].read_text(encoding="utf-8")
        labels = files["labels.txt"].read_text(encoding="utf-8").split("\n")[:-1]
    except UnicodeDecodeError as error:
        raise BadInput(f"its network.prototxt or labels.txt is not UTF-8 text ({error.reason})") from error
    own = facts.get("normalization")
    if own:
        normalization = Normalization.from_dict(own)
    else:
        mean = files.get("mean.npy") if facts.get("use_mean") in MEAN_OF_DATASET else None
        normalization = _of_mean(mean, facts["image_shape"][0])
    image_shape, resize = facts["image_shape"], facts["resize"]
    if resize is None:
        return Design(of_timm, text, image_shape, labels, normalization)
    input_shape = (image_shape[0], resize.size, resize.size)
    resizing = Resizing.used(image_shape, input_shape, resize)
    return Design(of_timm, text, input_shape, labels, normalization, resizing)


def _timm_name(path: Path) -> str:
    """The name of the network of timm that a file describes."""
    try:
        network = Network.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"its {NETWORK_FILE} can't be used ({error})") from error
    if not isinstance(network, TimmNetwork):
        raise BadInput(f"its {NETWORK_FILE} does not describe a network of timm")
    return network.name


def _of_mean(path: Path | None, channels: int) -> Normalization:
    """The normalization that subtracts a mean image's average of each channel; without one, nothing."""
    try:
        mean = load_array(path) if path else np.zeros((channels, 1, 1))
        values = tuple(float(one) for one in mean.reshape(channels, -1).mean(axis=1))
    except (OSError, ValueError) as error:
        raise BadInput(f"mean.npy can't be used: {error}") from error
    return Normalization.from_dict({"mean": values, "std": [1.0] * channels})
