"""The first images of a category as an epoch of a training sees them: exactly the pixels that its reader returns."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from datasets.contents import gallery
from datasets.models import Dataset
from digits_project.common.errors import BadInput, Refused
from digits_project.common.shared_memory.web_processes import shared
from digits_project.jobs.models import Device, Status
from models_app import networks
from models_app.models import TrainedModel
from models_app.networks import Network
from models_app.sizes import input_sizes
from models_app.training.augmentation.augmenter import Augmenter
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.augmentation.image_checks import check_images
from models_app.training.augmentation.soft_labels import soft_label_width
from models_app.training.config import TrainConfig
from models_app.training.data.batch_reader import epoch_order
from models_app.training.data.crops import InputLayout, layout_of
from models_app.training.data.pixels import Records
from models_app.training.features.plan import planned_parts
from models_app.training.hyperparameter_declaration import BadHyperparameter
from models_app.training_task import train_config

MAX_SHOWN = 9  # images
SPLIT = "train"
NO_IMAGES = (
    "This model trains its head on features that are computed once, so no epoch sees images. With feature_views 0 the "
    "epochs of a model see them."
)


@dataclass(frozen=True)
class Reading:
    """How a training reads its images, from `first_epoch` on; before that it trains the head on features.

    label_width: see soft_label_width().
    """

    layout: InputLayout
    settings: Augmentation
    random_seed: int
    batch_size: int
    label_width: int
    first_epoch: int = 1


@dataclass(frozen=True)
class SeenImage:
    """An image as a training sees it.

    record: its number in the records; position: its place in the order of the epoch, from 0.
    pixels: uint8, C×H×W. labels: {category: share}.
    """

    record: int
    position: int
    pixels: np.ndarray
    labels: dict[str, float]


def reading_of_dataset(
    dataset: Dataset,
    settings: Augmentation,
    random_seed: int,
    batch_size: int,
    network: str,
    crop_size: int | None,
    input_size: int | None,
) -> Reading:
    """The reading of a training of a standard network; "": of one that takes whole images, or crops of that size, or
    scales them to that size.

    Raises BadInput, also as BadHyperparameter, if the dataset can't be read so.
    """
    _check(dataset)
    shape, categories = dataset.image_shape, len(dataset.categories)
    check_images(settings, shape)
    _check_crop(shape, crop_size)
    taken, crop, resize = input_sizes.taken_from(shape, network, input_size, crop_size)
    if network:
        layout = layout_of(networks.standard(network, taken, categories, crop), shape, categories, resize)
    else:
        cropped = (taken[0], crop, crop) if crop else taken
        layout = InputLayout(shape, cropped, categories=categories, resize=resize)
    width = categories if settings.has_soft_labels else 0
    return Reading(layout, settings, random_seed, _at_most(batch_size, dataset), width)


def reading_of_model(model: TrainedModel, random_seed: int) -> Reading:
    """The reading of a model's training; `random_seed` counts if the model has none of its own. Raises BadInput."""
    _check(model.dataset)
    config = train_config(model, [Device(type=Device.Type.CPU, index=0)])
    network: Network = config.trained_network()
    if planned_parts(network, config.train_layers, config.feature_views, config):
        raise BadHyperparameter("feature_views", NO_IMAGES)
    layout = layout_of(network, model.dataset.image_shape, len(model.dataset.categories), config.resize)
    seed = random_seed if config.random_seed is None else config.random_seed
    width = soft_label_width(config, network)
    return Reading(layout, config, seed, config.batch_size, width, _first_epoch(config))


def _first_epoch(config: TrainConfig) -> int:
    """The first epoch, from 1, that sees images as the settings say: the head_epochs can see features, or plain
    images."""
    if not config.head_epochs:
        return 1
    head = config.head_first()
    on_features = planned_parts(head.trained_network(), head.train_layers, head.feature_views, head)
    same = not on_features and Augmentation.of(head) == Augmentation.of(config)
    return 1 if same else math.ceil(config.head_epochs) + 1


def seen_images(dataset: Dataset, reading: Reading, category: str, epoch: int) -> list[SeenImage]:
    """The first images of a category, "": the first category, as the epoch, from 1, sees them. Raises BadInput."""
    if epoch < reading.first_epoch:
        last = reading.first_epoch - 1
        raise BadHyperparameter(
            "epoch", f"The first {last} epochs train the head on images that are not augmented; name a later one."
        )
    names = dataset.category_names
    number = names.index(category) if category in names else None
    if number is None and category:
        raise BadInput(f"The dataset has no category {category!r}.")
    records = np.flatnonzero(gallery.labels(dataset, SPLIT) == (number or 0))[:MAX_SHOWN]
    images = Records(dataset.directory / f"{SPLIT}.rec", reading.layout, threads=1)
    augmenter = Augmenter(
        reading.settings, reading.layout, reading.random_seed, threads=1, label_width=reading.label_width
    )
    with shared().one_at_a_time, closing(images), closing(augmenter):
        order = epoch_order(len(images), reading.random_seed, epoch - 1)
        return [_seen(images, augmenter, order, int(record), reading, epoch, names) for record in records]


def _seen(
    images: Records,
    augmenter: Augmenter,
    order: np.ndarray,
    record: int,
    reading: Reading,
    epoch: int,
    names: list[str],
) -> SeenImage:
    [position] = np.flatnonzero(order == record)
    pixels, label = augmenter.image_at(images, order, epoch - 1, int(position), reading.batch_size)
    shares = label if reading.label_width else np.arange(len(names)) == label
    found = {name: round(float(share), 6) for name, share in zip(names, shares, strict=False) if share}
    return SeenImage(record, int(position), pixels, found)


def _check(dataset: Dataset) -> None:
    if dataset.status != Status.DONE:
        raise Refused(f"The dataset is {dataset.status}; its images can be seen once it is Done.")
    if not dataset.declared_kind.has_categories or not dataset.entries(SPLIT):
        raise BadInput("The dataset has no images with categories.")


def _check_crop(shape: tuple[int, int, int], crop_size: int | None) -> None:
    _, height, width = shape
    if crop_size and crop_size > min(height, width):
        raise BadInput(f"A crop_size of {crop_size} is larger than the images, which are {width}×{height}.")


def _at_most(batch_size: int, dataset: Dataset) -> int:
    return min(batch_size, dataset.entries(SPLIT))  # as in train_config
