"""The input size of a model, and the scaling of its images: from its columns, its dataset and its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datasets.imagedb.images.resize import InputResize
from models_app import networks
from models_app.choices import NetworkMethod
from models_app.networks.resizing import PHOTOS, Resizing
from models_app.networks.timm.timm_catalogue import is_timm

if TYPE_CHECKING:
    from models_app.models import TrainedModel


def usual(model: TrainedModel) -> int | None:
    """The input_size if none is chosen: that of the weights or the model that it starts from, or of a network of timm;
    None: it has none, or a chosen crop_size says what the network takes."""
    if model.crop_size:
        return None
    if model.method == NetworkMethod.STANDARD:
        return _own_size(model.standard_network)
    if model.method == NetworkMethod.PREVIOUS and model.previous:
        return model.previous.input_size
    if model.method != NetworkMethod.PRETRAINED:
        return None
    if model.previous_network:
        _, height, width = model.previous_network["input_shape"]
        return height if height == width else None
    return designed_for(model)


def _own_size(standard_network: str) -> int | None:
    """The side to which images are scaled if nothing else is chosen: that of a network of timm; None: they are not."""
    is_known = is_timm(standard_network) and networks.is_standard(standard_network)
    return networks.find_standard(standard_network).size if is_known else None


def has_own_size(model: TrainedModel) -> bool:
    """Whether images are scaled to the network's own size if nothing else is chosen."""
    return _own_size(model.standard_network) is not None


def designed_for(model: TrainedModel) -> int | None:
    """The side of the images that a standard network was designed for; None for other networks."""
    name = model.standard_network
    return networks.find_standard(name).size if networks.is_standard(name) else None


def taken_from(
    image_shape: tuple[int, int, int], standard_network: str, input_size: int | None, crop_size: int | None
) -> tuple[tuple[int, int, int], int | None, InputResize | None]:
    """For a network of that name ("": one that says nothing): the images from which it is built, the crop from them
    (None: the network's own), and how the dataset's images are scaled."""
    if input_size is None and not crop_size:
        input_size = _own_size(standard_network)
    shape, crop = _built_from(image_shape, input_size, crop_size)
    if input_size is None:
        return shape, crop, None
    return shape, crop, _published_resizing(standard_network).of(*image_shape[1:], input_size, crop_size)


def of_network(model: TrainedModel) -> tuple[tuple[int, int, int], int | None]:
    """The images from which the network is built: their shape, and the crop from them (None: the network's own)."""
    crop_size = model.crop_size if model.dataset.shapes_are_known else None
    return _built_from(model.dataset.image_shape, model.input_size, crop_size)


def resize_of(model: TrainedModel) -> InputResize | None:
    """How the dataset's images are scaled; None if they are not, but perhaps cropped."""
    if not (model.input_size and model.dataset.shapes_are_known):
        return None
    _, height, width = model.dataset.image_shape
    return _resizing(model).of(height, width, model.input_size, model.crop_size)


def _built_from(
    image_shape: tuple[int, int, int], input_size: int | None, crop_size: int | None
) -> tuple[tuple[int, int, int], int | None]:
    """The images from which a network is built, and the crop from them. Scaled images are not cropped again."""
    if input_size is None:
        return image_shape, crop_size
    return (image_shape[0], input_size, input_size), 0


def _resizing(model: TrainedModel) -> Resizing:
    own = (model.previous_network or {}).get("resizing")
    return Resizing.from_dict(own) if own else _published_resizing(model.standard_network)


def _published_resizing(standard_network: str) -> Resizing:
    is_known = networks.is_standard(standard_network)
    return networks.find_standard(standard_network).resizing if is_known else PHOTOS
