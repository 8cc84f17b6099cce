"""MobileNet-v2 (Sandler et al. 2018)."""

from models_app.networks.graph import Network
from models_app.networks.normalization import IMAGENET
from models_app.networks.published.stack import MSRA, Frame, LayerStack, gaussian
from models_app.networks.published.standard_network import StandardNetwork

# Expansion, channels, number of blocks and stride of the first block: table 2 of the paper.
BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))


def mobilenet_v2(frame: Frame, categories: int) -> Network:
    """Seventeen inverted residual blocks: wider inside than outside, with a 3×3 filter per channel. Images of any
    size."""
    stack = LayerStack(frame)
    _convolution(stack, "conv1", 32, 3, stride=2, pad=1)
    _relu6(stack, "conv1")
    made = 32
    for number, (expansion, channels, stride) in enumerate(_blocks(), start=1):
        _block(stack, f"block{number}", made, expansion * made, channels, stride)
        made = channels
    _convolution(stack, "conv2", 1280, 1)
    _relu6(stack, "conv2")
    stack.pool_all("pool")
    stack.over("Dropout", "drop", {"dropout_ratio": 0.2})
    stack.inner_product("fc", categories, **gaussian(0.01))
    return stack.classified("MobileNet-v2")


MOBILENET_V2 = StandardNetwork("mobilenet_v2", mobilenet_v2, batch_size=32, crop_size=224, normalization=IMAGENET)


def _blocks() -> list[tuple[int, int, int]]:
    """Expansion, channels and stride of each block."""
    return [(wider, channels, stride if i == 0 else 1) for wider, channels, n, stride in BLOCKS for i in range(n)]


def _block(stack: LayerStack, name: str, made: int, inside: int, channels: int, stride: int) -> None:
    bottom = stack.top
    if inside != made:
        _convolution(stack, f"{name}/expand", inside, 1)
        _relu6(stack, f"{name}/expand")
    _convolution(stack, f"{name}/depthwise", inside, 3, stride=stride, pad=1, group=inside)
    _relu6(stack, f"{name}/depthwise")
    linear = _convolution(stack, f"{name}/linear", channels, 1)
    if stride == 1 and made == channels:
        stack.put("Eltwise", f"{name}/sum", {"operation": "SUM"}, bottoms=(bottom, linear))


def _convolution(stack: LayerStack, name: str, channels: int, kernel: int, **window: int) -> str:
    return stack.normed_convolution(name, (f"{name}/bn", f"{name}/scale"), channels, kernel, **window, **MSRA)


def _relu6(stack: LayerStack, name: str) -> None:
    stack.over("Clip", f"{name}/relu6", {"min": 0.0, "max": 6.0})
