"""EfficientNet-Lite0 (Google 2020): EfficientNet-B0 (Tan and Le 2019) without what is slow outside of a data center.

It has no squeeze-and-excitation and no swish, so it runs on every engine. Apart from the sizes of its blocks it is
built as MobileNet-v2 is, and its layers have the same names.
"""

from typing import Any

from models_app.networks.graph import Network
from models_app.networks.normalization import HALF
from models_app.networks.published.mobilenet import add_layers
from models_app.networks.published.stack import NORM, Frame, LayerStack
from models_app.networks.published.standard_network import StandardNetwork
from models_app.networks.resizing import Resizing

# Kernel, expansion, channels, number of blocks and stride of the first block: table 1 of EfficientNet's paper.
STAGES = (
    (3, 1, 16, 1, 1),
    (3, 6, 24, 2, 2),
    (5, 6, 40, 2, 2),
    (3, 6, 80, 3, 2),
    (5, 6, 112, 3, 1),
    (5, 6, 192, 4, 2),
    (3, 6, 320, 1, 1),
)


def efficientnet_lite0(frame: Frame, categories: int) -> Network:
    """Sixteen inverted residual blocks with 3×3 and 5×5 filters. Images of any size.

    It pads as TensorFlow does, with which it was published: at a stride of 2 more after the image than before it.
    """
    stack = LayerStack(frame, norm={**NORM, "eps": 1e-3})
    add_layers(stack, STAGES, _pad, categories)
    return stack.classified("EfficientNet-Lite0")


EFFICIENTNET_LITE0 = StandardNetwork(
    "efficientnet_lite0",
    efficientnet_lite0,
    batch_size=32,
    size=224,
    normalization=HALF,
    resizing=Resizing(0.875, "bicubic"),
    summary="For photos; pretrained weights can be installed for it.",
)


def _pad(kernel: int) -> dict[str, Any]:
    return {"pad_mode": "SAME"}
