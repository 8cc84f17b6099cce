"""Everything a training needs to know, as one value that travels as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from digits_project.common.errors import BadInput
from models_app.networks import Network
from models_app.training.class_weights import check_weighable
from models_app.training.engines.registry import AUTO, ENGINES
from models_app.training.schedule import LearningRatePolicy

SOLVERS = ("SGD", "NESTEROV", "ADAGRAD", "RMSPROP", "ADADELTA", "ADAM")
MEANS = ("none", "image", "pixel")


@dataclass(frozen=True)
class TrainConfig:
    """A training, checked. Paths are strings, as they travel as JSON; snapshots go to <directory>/snapshots.

    `engine` is the name of a registered engine, or auto: the first that is installed and can train the network.
    `image_shape` is that of the records (channels, height, width), of which the network takes its part; None: all.
    `labels_file` names the categories; a network whose labels are no categories needs none.
    Intervals are in epochs, fractions allowed, 0 is off. After `early_stop_patience` validations that were no better
    than the best before the training ends; 0: it never does. The solver takes one step for every `batch_accumulation`
    batches, by their average gradient. Policy parameters have the names of schedule.Policy.
    `category_weights`, one a category, weigh the images in the losses of the training; what is told stays unweighted.
    `random_seed` None lets the trainer draw one; `threads` None is as many as there are cores to use.
    Of several `devices` each takes its share of every batch. `initial_weights` is a snapshot's folder, its weights.npz,
    or a .caffemodel: layers of the same name and shapes start from it, others afresh; it has to lie, with every link
    followed, under one of `readable_roots`. `resume_from` is a snapshot of this same training, which goes on where that
    was taken, with its seed.
    """

    network: Mapping[str, Any]
    train_records: str
    directory: str
    labels_file: str | None = None
    image_shape: tuple[int, int, int] | None = None
    val_records: str | None = None
    mean_file: str | None = None
    use_mean: str = "image"
    engine: str = AUTO
    epochs: float = 30
    batch_size: int = 64
    batch_accumulation: int = 1
    snapshot_interval: float = 1.0
    val_interval: float = 1.0
    early_stop_patience: int = 0
    solver_type: str = "SGD"
    learning_rate: float = 0.01
    momentum: float = 0.9
    weight_decay: float = 0.0005
    rms_decay: float = 0.99
    lr_policy: str = "step"
    lr_step_size: float = LearningRatePolicy.lr_step_size
    lr_step_gamma: float = LearningRatePolicy.lr_step_gamma
    lr_multistep_values: tuple[float, ...] = field(default=LearningRatePolicy.lr_multistep_values)
    lr_multistep_gamma: float = LearningRatePolicy.lr_multistep_gamma
    lr_exp_gamma: float = LearningRatePolicy.lr_exp_gamma
    lr_inv_gamma: float = LearningRatePolicy.lr_inv_gamma
    lr_inv_power: float = LearningRatePolicy.lr_inv_power
    lr_poly_power: float = LearningRatePolicy.lr_poly_power
    lr_sigmoid_step: float = LearningRatePolicy.lr_sigmoid_step
    lr_sigmoid_gamma: float = LearningRatePolicy.lr_sigmoid_gamma
    category_weights: tuple[float, ...] | None = None
    random_seed: int | None = None
    devices: tuple[str, ...] = ("cpu",)
    threads: int | None = None
    initial_weights: str | None = None
    readable_roots: tuple[str, ...] = ("/",)
    resume_from: str | None = None

    def __post_init__(self) -> None:
        for name in ("lr_multistep_values", "devices", "readable_roots"):
            if not isinstance(getattr(self, name), (list, tuple)):
                raise BadInput(f"{name} must be a list, not {getattr(self, name)!r}")
            object.__setattr__(self, name, tuple(getattr(self, name)))
        self._check_image_shape()
        self._check_category_weights()
        self._check_choices()
        self._check_numbers()
        self.policy()
        network = self.build_network()
        network.check_trainable(*(["train", "val"] if self.val_records and self.val_interval else ["train"]))
        if self.category_weights is not None:
            check_weighable(network)
        if not network.label_shape and self.labels_file is None:
            raise BadInput("there is no labels_file, though the network's labels are categories")

    def policy(self) -> LearningRatePolicy:
        """How the learning rate falls."""
        return LearningRatePolicy(**{f.name: getattr(self, f.name) for f in fields(LearningRatePolicy)})

    def build_network(self) -> Network:
        """The network, checked."""
        network = Network.from_dict(self.network)
        network.check()
        return network

    def settled(self, seed: int, threads: int) -> TrainConfig:
        """The same training with what it leaves to the trainer."""
        return replace(self, random_seed=seed, threads=threads)

    def _check_image_shape(self) -> None:
        shape = self.image_shape
        if shape is None:
            return
        if not isinstance(shape, (list, tuple)) or len(shape) != 3 or not all(_is_whole(n) and n > 0 for n in shape):
            raise BadInput(f"image_shape must be channels, height and width, not {shape!r}")
        object.__setattr__(self, "image_shape", tuple(shape))

    def _check_category_weights(self) -> None:
        weights = self.category_weights
        if weights is None:
            return
        if not isinstance(weights, (list, tuple)) or not all(_is_number(weight) and weight >= 0 for weight in weights):
            raise BadInput(f"category_weights must be a list of numbers from 0, not {weights!r}")
        object.__setattr__(self, "category_weights", tuple(weights))

    def _check_choices(self) -> None:
        for name, choices in (("solver_type", SOLVERS), ("use_mean", MEANS), ("engine", (AUTO, *ENGINES))):
            if getattr(self, name) not in choices:
                raise BadInput(f"{name} must be one of {', '.join(choices)}, not {getattr(self, name)!r}")
        if self.use_mean != "none" and not self.mean_file:
            raise BadInput(f"use_mean is {self.use_mean}, but there is no mean_file")
        for device in self.devices:
            if not isinstance(device, str) or not re.fullmatch(r"cpu\d{0,3}|gpu\d{1,3}", device):
                raise BadInput(f"a device must be cpu or gpu0, gpu1 …, not {device!r}")
        if not self.devices or len(set(self.devices)) < len(self.devices):
            raise BadInput(f"devices must name one or more, each once, not {list(self.devices)}")

    def _check_numbers(self) -> None:
        for name in ("epochs", "snapshot_interval", "val_interval", "momentum", "rms_decay", "weight_decay"):
            value = getattr(self, name)
            if not _is_number(value) or value < 0:
                raise BadInput(f"{name} must be a number from 0, not {value!r}")
        if self.epochs == 0:
            raise BadInput("epochs must be above 0")
        for name in ("momentum", "rms_decay"):
            if getattr(self, name) >= 1:
                raise BadInput(f"{name} must be below 1, not {getattr(self, name)}")
        for name, optional in (("batch_size", False), ("batch_accumulation", False), ("threads", True)):
            value = getattr(self, name)
            if not (optional and value is None) and (not _is_whole(value) or value < 1):
                raise BadInput(f"{name} must be a whole number from 1, not {value!r}")
        if not _is_whole(self.early_stop_patience) or self.early_stop_patience < 0:
            raise BadInput(f"early_stop_patience must be a whole number from 0, not {self.early_stop_patience!r}")
        seed = self.random_seed
        if seed is not None and (not _is_whole(seed) or not 0 <= seed < 2**32):
            raise BadInput(f"random_seed must be a whole number from 0 to {2**32 - 1}, not {seed!r}")
        if self.batch_size < len(self.devices):
            raise BadInput(f"a batch of {self.batch_size} can't be shared by {len(self.devices)} devices")

    def to_json(self) -> str:
        """from_json gives an equal config back."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """Raises BadInput for a field that is unknown, missing or out of range."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise BadInput(f"the training's configuration is not JSON: {error}") from error
        if not isinstance(data, dict):
            raise BadInput("the training's configuration must be a JSON object")
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


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)  # True is an int, but no count
