"""The layers of EfficientNet-Lite0 below its head, with the packaged weights of ImageNet, as an ONNX file."""

from __future__ import annotations

from pathlib import Path

from digits_project.common.errors import BadInput
from models_app.networks.fine_tuning import HEAD, FineTuning, tuned, with_plain_averages
from models_app.networks.pretrained.foreign_weights import read_foreign
from models_app.networks.pretrained.packaged import EFFICIENTNET_LITE0
from models_app.networks.published.standard_network import standard
from models_app.training.features.backbone import Backbone
from models_app.training.features.division import divide

_CATEGORIES = 2  # of the head, which is left out


def write_packaged_backbone(path: Path, side: int) -> None:
    """Write the network for colour images of side×side pixels. Raises BadInput if the weights are not installed."""
    packaged = EFFICIENTNET_LITE0
    network = tuned(standard(packaged.network, (3, side, side), _CATEGORIES, crop_size=0), FineTuning(HEAD))
    with packaged.opened() as file:
        found = read_foreign(file, Path(packaged.file).suffix, network)
    parts = divide(network)
    missing = [weight.name for weight in parts.backbone.weights() if weight.name not in found.arrays]
    if missing or network.normalization is None:
        raise BadInput(f"the weights {packaged.name} lack {', '.join(missing[:3])}")
    weights = with_plain_averages(parts.backbone, found.arrays)
    normalization = network.normalization
    Backbone(parts, weights, normalization.mean_array(), normalization.scale_array()).write(path)
