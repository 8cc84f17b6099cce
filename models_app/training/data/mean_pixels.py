"""What a training subtracts from the pixels of its images."""

from __future__ import annotations

import numpy as np

from digits_project.common.errors import BadInput
from models_app.networks import Network
from models_app.training.config import TrainConfig
from models_app.training.data.crops import InputLayout
from models_app.training.hyperparameters import NETWORK


def normalization(
    config: TrainConfig, network: Network, layout: InputLayout
) -> tuple[np.ndarray | None, np.ndarray | None]:
    """What the engine subtracts from images, and the factor of the difference (EngineConfig.mean, scale)."""
    if config.use_mean == NETWORK and network.normalization:
        return network.normalization.mean_array(), network.normalization.scale_array()
    return read_mean(config, layout), None


def read_mean(config: TrainConfig, layout: InputLayout) -> np.ndarray | None:
    """The mean of the dataset that the engine subtracts from images; None without one (`use_mean` none).

    It is the middle of the mean image, C×H×W, scaled as the images are (`use_mean` image), or the mean of each channel,
    C×1×1 (pixel).
    """
    if config.use_mean == "none":
        return None
    try:
        mean = np.load(config.mean_file or "", allow_pickle=False).astype(np.float32)
    except (OSError, ValueError, EOFError, SyntaxError) as error:  # NumPy raises any of these for a damaged file
        raise BadInput(f"the mean image {config.mean_file} can't be read: {error}") from error
    if mean.shape != layout.image_shape:
        found, wanted = ("×".join(map(str, shape)) for shape in (mean.shape, layout.image_shape))
        raise BadInput(f"the mean image is {found}, but the images are {wanted} (channels×height×width)")
    if config.use_mean == "pixel":
        return mean.mean(axis=(1, 2), keepdims=True)
    return np.ascontiguousarray(layout.middle(mean))
