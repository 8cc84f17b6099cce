"""MobileNet-v2 (Sandler et al. 2018), and its layers for the networks that are built alike."""

from collections.abc import Callable, Iterable
from typing import Any

from models_app.networks.graph import Network
from models_app.networks.normalization import IMAGENET
from models_app.networks.published.stack import MSRA, Frame, LayerStack, gaussian
from models_app.networks.published.standard_network import StandardNetwork

# Expansion, channels, number of blocks and stride of the first block: table 2 of the paper.
BLOCKS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
STEM, HEAD = 32, 1280  # channels of the first and the last convolution

Pad = Callable[[int], dict[str, Any]]  # of a kernel's size: the parameters that pad the convolution


def mobilenet_v2(frame: Frame, categories: int) -> Network:
    """Seventeen inverted residual blocks: wider inside than outside, with a 3×3 filter per channel. Images of any
    size."""
    stack = LayerStack(frame)
    add_layers(stack, [(3, *stage) for stage in BLOCKS], _pad, categories)
    return stack.classified("MobileNet-v2")


MOBILENET_V2 = StandardNetwork(
    "mobilenet_v2",
    mobilenet_v2,
    batch_size=32,
    size=224,
    normalization=IMAGENET,
    summary="For photos on phones and small computers.",
)


def add_layers(stack: LayerStack, stages: Iterable[tuple[int, int, int, int, int]], pad: Pad, categories: int) -> None:
    """Add all layers but the losses: a convolution, the blocks, another convolution, a pooling and the scores.

    stages: kernel, expansion, channels, number of blocks and stride of the first block.
    """
    _convolution(stack, "conv1", STEM, 3, stride=2, **pad(3))
    _relu6(stack, "conv1")
    made, number = STEM, 0
    for kernel, expansion, channels, count, first_stride in stages:
        for stride in (first_stride, *[1] * (count - 1)):
            number += 1
            _block(stack, pad, f"block{number}", made, expansion * made, kernel, channels, stride)
            made = channels
    _convolution(stack, "conv2", HEAD, 1, **pad(1))
    _relu6(stack, "conv2")
    stack.pool_all("pool")
    stack.over("Dropout", "drop", {"dropout_ratio": 0.2})
    stack.inner_product("fc", categories, **gaussian(0.01))


def _pad(kernel: int) -> dict[str, Any]:
    return {"pad": kernel // 2} if kernel > 1 else {}


def _block(
    stack: LayerStack, pad: Pad, name: str, made: int, inside: int, kernel: int, channels: int, stride: int
) -> None:
    """An inverted residual block: `made` channels come in, `inside` are filtered, `channels` go out."""
    bottom = stack.top
    if inside != made:
        _convolution(stack, f"{name}/expand", inside, 1, **pad(1))
        _relu6(stack, f"{name}/expand")
    _convolution(stack, f"{name}/depthwise", inside, kernel, stride=stride, **pad(kernel), group=inside)
    _relu6(stack, f"{name}/depthwise")
    linear = _convolution(stack, f"{name}/linear", channels, 1, **pad(1))
    if stride == 1 and made == channels:
        stack.put("Eltwise", f"{name}/sum", {"operation": "SUM"}, bottoms=(bottom, linear))


def _convolution(stack: LayerStack, name: str, channels: int, kernel: int, **window: Any) -> str:
    return stack.normed_convolution(name, (f"{name}/bn", f"{name}/scale"), channels, kernel, **window, **MSRA)


def _relu6(stack: LayerStack, name: str) -> None:
    stack.over("Clip", f"{name}/relu6", {"min": 0.0, "max": 6.0})
