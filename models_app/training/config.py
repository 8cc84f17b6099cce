"""TrainConfig, the configuration of a training, which the server passes to the trainer as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from datasets.imagedb.images.resize import InputResize
from digits_project.common.errors import BadInput
from models_app.networks import Network
from models_app.networks.fine_tuning import HEAD, tuned
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.augmentation.image_checks import check_images
from models_app.training.augmentation.soft_labels import soft_label_width
from models_app.training.class_weights import check_weighable
from models_app.training.engines.registry import AUTO, ENGINES
from models_app.training.features.plan import planned_parts
from models_app.training.hyperparameter_declaration import (
    BadHyperparameter,
    hyperparameters_of,
    is_number,
    is_whole,
)
from models_app.training.hyperparameters import MEAN_OF_DATASET, NETWORK, Hyperparameters
from models_app.training.learning_rate import PLATEAU
from models_app.training.ranks.rendezvous import Rendezvous

# The values of augmentation without which images would change at random; labels can still be smoothed.
PLAIN_IMAGES = {
    declared.name: declared.default
    for declared in hyperparameters_of(Augmentation)
    if declared.name not in ("aug_whitening", "label_smoothing")
}
NO_NORMALIZATION = "the network has no normalization of its own; take image, pixel or none"


@dataclass(frozen=True, kw_only=True)
class TrainConfig(Hyperparameters):
    """The checked configuration of a training: its hyperparameters, and the paths of its data. Raises BadInput.

    Paths are strings, because the configuration is passed as JSON; snapshots are written to <directory>/snapshots.
    `engine` is the name of a registered engine, or auto: the first that is installed and can train the network.
    `image_shape` is the shape of the records (channels, height, width), from which the network takes its crop; None:
    the network's own. With `input_resize`, the values of an InputResize, the crop is scaled to the network's size.
    `labels_file` names the categories; a network whose labels are not categories needs none.

    `category_weights`, one for each category, multiply the losses of its images in training; reported losses stay
    unweighted. With `random_seed` None the trainer draws a seed; with `threads` None it uses all usable cores. With
    several `devices`, each computes its share of every batch.

    `initial_weights` is what starting_weights() takes: layers with the same name and shapes start from it, the others
    with random weights. With all links resolved a path must be in one of `readable_roots`.
    `resume_from` is a snapshot of this same training, which then continues from it with its seed.

    With a `rendezvous`, the values of a Rendezvous, the training has several ranks: one process for each of `devices`,
    which are those of this host. The configurations of all hosts differ in these two fields only.
    """

    network: Mapping[str, Any]
    train_records: str
    directory: str
    labels_file: str | None = None
    image_shape: tuple[int, int, int] | None = None
    input_resize: Mapping[str, Any] | None = None
    val_records: str | None = None
    mean_file: str | None = None
    engine: str = AUTO
    category_weights: tuple[float, ...] | None = None
    devices: tuple[str, ...] = ("cpu",)
    threads: int | None = None
    initial_weights: str | None = None
    readable_roots: tuple[str, ...] = ("/",)
    resume_from: str | None = None
    rendezvous: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("devices", "readable_roots"):
            if not isinstance(getattr(self, name), (list, tuple)):
                raise BadInput(f"{name} must be a list, not {getattr(self, name)!r}")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_image_shape()
        _ = self.resize
        _ = self.meeting
        self._check_category_weights()
        self._check_engine()
        if self.lr_policy == PLATEAU and not (self.val_records and self.val_interval):
            raise BadInput("the learning rate policy plateau reads validations, but there are none")
        network = self.trained_network()
        if self.use_mean == NETWORK and network.normalization is None:
            raise BadHyperparameter("use_mean", f"use_mean is {NETWORK}, but {NO_NORMALIZATION}")
        network.check_trainable(*(["train", "val"] if self.val_records and self.val_interval else ["train"]))
        planned_parts(network, self.train_layers, self.feature_views, self)
        if self.head_epochs:
            self.head_first().trained_network()
        if self.category_weights is not None:
            check_weighable(network)
        soft_label_width(self, network)
        check_images(self, self.image_shape or network.input_shape)
        if not network.label_shape and self.labels_file is None:
            raise BadInput("there is no labels_file, though the network's labels are categories")

    def build_network(self) -> Network:
        """The network, checked."""
        network = Network.from_dict(self.network)
        network.check()
        return network

    def trained_network(self) -> Network:
        """The network whose layers are trained as the configuration says, after the head_epochs."""
        return tuned(self.build_network(), self.fine_tuning)

    def head_first(self) -> TrainConfig:
        """The configuration of the head_epochs. Unless feature_views says otherwise, the head is trained on features of
        the images without augmentation, if the network can be divided."""
        plain = PLAIN_IMAGES if self.feature_views is None else {}
        return replace(self, train_layers=HEAD, head_epochs=0.0, **plain)

    @property
    def record_files(self) -> list[Path]:
        """The records of the training images, and those of the validation images if there are any."""
        return [Path(path) for path in (self.train_records, self.val_records) if path]

    @property
    def resize(self) -> InputResize | None:
        """How images are scaled to the network's input; None: they are not."""
        return InputResize.from_dict(self.input_resize) if self.input_resize else None

    @property
    def meeting(self) -> Rendezvous | None:
        """Where the ranks of this training meet; None: it has one rank."""
        return Rendezvous.from_dict(self.rendezvous) if self.rendezvous else None

    def settled(self, seed: int, threads: int) -> TrainConfig:
        """A copy with the random seed and the number of threads that the trainer chose."""
        return replace(self, random_seed=seed, threads=threads)

    @property
    def settled_seed(self) -> int:
        """The random seed, which settled() has set. Raises ValueError if it is still None."""
        return _settled("random_seed", self.random_seed)

    @property
    def settled_threads(self) -> int:
        """The number of threads, which settled() has set. Raises ValueError if it is still None."""
        return _settled("threads", self.threads)

    def _check_image_shape(self) -> None:
        shape = self.image_shape
        if shape is None:
            return
        if not isinstance(shape, (list, tuple)) or len(shape) != 3 or not all(is_whole(n) and n > 0 for n in shape):
            raise BadInput(f"image_shape must be channels, height and width, not {shape!r}")
        object.__setattr__(self, "image_shape", tuple(shape))

    def _check_category_weights(self) -> None:
        weights = self.category_weights
        if weights is None:
            return
        if not isinstance(weights, (list, tuple)) or not all(is_number(weight) and weight >= 0 for weight in weights):
            raise BadInput(f"category_weights must be a list of numbers from 0, not {weights!r}")
        object.__setattr__(self, "category_weights", tuple(weights))

    def _check_engine(self) -> None:
        if self.engine not in (AUTO, *ENGINES):
            raise BadInput(f"engine must be one of {', '.join((AUTO, *ENGINES))}, not {self.engine!r}")
        if self.use_mean in MEAN_OF_DATASET and not self.mean_file:
            raise BadInput(f"use_mean is {self.use_mean}, but there is no mean_file")
        if self.threads is not None and not (is_whole(self.threads) and self.threads >= 1):
            raise BadInput(f"threads must be a whole number from 1, not {self.threads!r}")
        for device in self.devices:
            if not isinstance(device, str) or not re.fullmatch(r"cpu\d{0,3}|gpu\d{1,3}", device):
                raise BadInput(f"a device must be cpu or gpu0, gpu1 …, not {device!r}")
        if not self.devices or len(set(self.devices)) < len(self.devices):
            raise BadInput(f"devices must name one or more, each once, not {list(self.devices)}")
        if self.batch_size < len(self.devices):
            raise BadInput(f"a batch of {self.batch_size} can't be divided among {len(self.devices)} devices")

    def to_json(self) -> str:
        """The configuration as JSON; from_json() is the inverse."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """A configuration from JSON. Raises BadInput for a field that is unknown, missing or out of range."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadInput(f"the training's configuration is not JSON: {error}") from error
        if not isinstance(data, dict):
            raise BadInput("the training's configuration must be a JSON object")
        data.pop("framework", None)  # in configurations of earlier versions: always mxnet
        unknown = sorted(set(data) - {f.name for f in fields(cls)})
        if unknown:
            raise BadInput(f"the training's configuration has no field {unknown[0]}")
        try:
            return cls(**data)
        except TypeError as error:
            raise BadInput(f"the training's configuration is incomplete: {error}") from error

    @classmethod
    def from_file(cls, path: Path) -> TrainConfig:
        """Read what to_json wrote."""
        return cls.from_json(path.read_text(encoding="utf-8"))


def _settled(name: str, value: int | None) -> int:
    if value is None:
        raise ValueError(f"{name} is None: call settled() before the training begins")
    return value
