"""EfficientNet-Lite0 (Google 2020): EfficientNet-B0 (Tan and Le 2019) without what is slow outside of a data center.

It has no squeeze-and-excitation and no swish, so it runs on every engine, and the same number of channels in its first
and last convolution whatever its size. The names follow MobileNet-v2's, whose blocks it has.
"""

from models_app.networks.graph import Network
from models_app.networks.normalization import HALF
from models_app.networks.published.stack import MSRA, NORM, Frame, LayerStack, gaussian
from models_app.networks.published.standard_network import StandardNetwork

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
STEM, HEAD = 32, 1280  # channels of the first and the last convolution


def efficientnet_lite0(frame: Frame, categories: int) -> Network:
    """Sixteen inverted residual blocks with 3×3 and 5×5 filters. Images of any size.

    It pads as TensorFlow does, with which it was published: at a stride of 2 more after the image than before it.
    """
    stack = LayerStack(frame, norm={**NORM, "eps": 1e-3})
    _convolution(stack, "conv1", STEM, 3, stride=2)
    _relu6(stack, "conv1")
    made = STEM
    for number, (kernel, expansion, channels, stride) in enumerate(_blocks(), start=1):
        _block(stack, f"block{number}", made, expansion * made, kernel, channels, stride)
        made = channels
    _convolution(stack, "conv2", HEAD, 1)
    _relu6(stack, "conv2")
    stack.pool_all("pool")
    stack.over("Dropout", "drop", {"dropout_ratio": 0.2})
    stack.inner_product("fc", categories, **gaussian(0.01))
    return stack.classified("EfficientNet-Lite0")


EFFICIENTNET_LITE0 = StandardNetwork(
    "efficientnet_lite0", efficientnet_lite0, batch_size=32, crop_size=224, normalization=HALF
)


def _blocks() -> list[tuple[int, int, int, int]]:
    """Kernel, expansion, channels and stride of each block."""
    return [
        (kernel, expansion, channels, stride if i == 0 else 1)
        for kernel, expansion, channels, count, stride in STAGES
        for i in range(count)
    ]


def _block(stack: LayerStack, name: str, made: int, inside: int, kernel: int, channels: int, stride: int) -> None:
    bottom = stack.top
    if inside != made:
        _convolution(stack, f"{name}/expand", inside, 1)
        _relu6(stack, f"{name}/expand")
    _convolution(stack, f"{name}/depthwise", inside, kernel, stride=stride, group=inside)
    _relu6(stack, f"{name}/depthwise")
    linear = _convolution(stack, f"{name}/linear", channels, 1)
    if stride == 1 and made == channels:
        stack.put("Eltwise", f"{name}/sum", {"operation": "SUM"}, bottoms=(bottom, linear))


def _convolution(stack: LayerStack, name: str, channels: int, kernel: int, **window: int) -> str:
    norms = (f"{name}/bn", f"{name}/scale")
    return stack.normed_convolution(name, norms, channels, kernel, **window, pad_mode="SAME", **MSRA)


def _relu6(stack: LayerStack, name: str) -> None:
    stack.over("Clip", f"{name}/relu6", {"min": 0.0, "max": 6.0})
