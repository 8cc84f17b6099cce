"""ResNet-18 and ResNet-50 (He et al. 2015) with the names of their Caffe models."""

from typing import Any

from models_app.networks.graph import Network
from models_app.networks.normalization import IMAGENET
from models_app.networks.published.stack import MSRA, Frame, LayerStack
from models_app.networks.published.standard_network import StandardNetwork

BOTTLENECK_EXPANSION = 4
CAFFE_POOLING: dict[str, Any] = {}
TORCH_POOLING: dict[str, Any] = {"pad": 1, "round_mode": "FLOOR"}
BLOCKS_18, BLOCKS_50 = (2, 2, 2, 2), (3, 4, 6, 3)  # of each stage


def resnet18(frame: Frame, categories: int) -> Network:
    """Eight blocks of two 3×3 convolutions each. Images from 5×5 pixels."""
    return _resnet("ResNet-18", frame, categories, BLOCKS_18, _basic, 1, CAFFE_POOLING)


def resnet50(frame: Frame, categories: int) -> Network:
    """Sixteen blocks of a 1×1, a 3×3 and a 1×1 convolution each. Images from 5×5 pixels."""
    return _resnet("ResNet-50", frame, categories, BLOCKS_50, _bottleneck, BOTTLENECK_EXPANSION, CAFFE_POOLING)


def resnet18_torch(frame: Frame, categories: int) -> Network:
    """ResNet-18 as torchvision and timm have it: the first pooling begins a pixel before the image."""
    return _resnet("ResNet-18 of torchvision", frame, categories, BLOCKS_18, _basic, 1, TORCH_POOLING)


def resnet50_torch(frame: Frame, categories: int) -> Network:
    """ResNet-50 as torchvision and timm have it: also, the 3×3 convolution of a block has its stride, not the 1×1."""
    name = "ResNet-50 of torchvision"
    return _resnet(name, frame, categories, BLOCKS_50, _bottleneck_torch, BOTTLENECK_EXPANSION, TORCH_POOLING)


RESNET18 = StandardNetwork(
    "resnet18",
    resnet18,
    batch_size=32,
    size=224,
    normalization=IMAGENET,
    summary="A good first choice for photos: accurate, and not too slow.",
)
RESNET50 = StandardNetwork(
    "resnet50",
    resnet50,
    batch_size=16,
    size=224,
    normalization=IMAGENET,
    summary="More accurate on many photos than ResNet-18, and several times slower.",
)
RESNET18_TORCH = StandardNetwork(
    "resnet18_torch",
    resnet18_torch,
    batch_size=32,
    size=224,
    normalization=IMAGENET,
    summary="ResNet-18 as PyTorch has it, for its published weights.",
)
RESNET50_TORCH = StandardNetwork(
    "resnet50_torch",
    resnet50_torch,
    batch_size=16,
    size=224,
    normalization=IMAGENET,
    summary="ResNet-50 as PyTorch has it, for its published weights.",
)


def _resnet(
    name: str, frame: Frame, categories: int, blocks: tuple[int, ...], branch2, expansion: int, pooling: dict[str, Any]
) -> Network:
    """Build a ResNet. `branch2` adds the learned branch of a block; its output has `expansion` times its channels.
    `pooling`: further parameters of the first pooling."""
    stack = LayerStack(frame)
    _convolution(stack, "conv1", 64, 7, stride=2, pad=3)
    stack.over("ReLU", "conv1_relu")
    stack.max_pooling("pool1", 3, 2, **pooling)
    made = 64
    for stage, count in enumerate(blocks, start=2):
        channels = 32 << (stage - 1)
        for letter in "abcdef"[:count]:
            stride = 2 if letter == "a" and stage > 2 else 1
            bottom = shortcut = stack.top
            if stride != 1 or made != channels * expansion:
                made = channels * expansion
                shortcut = _convolution(stack, f"res{stage}{letter}_branch1", made, 1, stride=stride)
                stack.top = bottom
            learned = branch2(stack, f"res{stage}{letter}", channels, stride)
            stack.put("Eltwise", f"res{stage}{letter}", {"operation": "SUM"}, bottoms=(shortcut, learned))
            stack.over("ReLU", f"res{stage}{letter}_relu")
    stack.pool_all("pool5")
    stack.inner_product("fc1000", categories, **MSRA)
    return stack.classified(name)


def _basic(stack: LayerStack, block: str, channels: int, stride: int) -> str:
    _convolution(stack, f"{block}_branch2a", channels, 3, stride=stride, pad=1)
    stack.over("ReLU", f"{block}_branch2a_relu")
    return _convolution(stack, f"{block}_branch2b", channels, 3, stride=1, pad=1)


def _bottleneck(stack: LayerStack, block: str, channels: int, stride: int) -> str:
    return _three_convolutions(stack, block, channels, (stride, 1))


def _bottleneck_torch(stack: LayerStack, block: str, channels: int, stride: int) -> str:
    return _three_convolutions(stack, block, channels, (1, stride))


def _three_convolutions(stack: LayerStack, block: str, channels: int, strides: tuple[int, int]) -> str:
    _convolution(stack, f"{block}_branch2a", channels, 1, stride=strides[0])
    stack.over("ReLU", f"{block}_branch2a_relu")
    _convolution(stack, f"{block}_branch2b", channels, 3, stride=strides[1], pad=1)
    stack.over("ReLU", f"{block}_branch2b_relu")
    return _convolution(stack, f"{block}_branch2c", BOTTLENECK_EXPANSION * channels, 1, stride=1)


def _convolution(stack: LayerStack, name: str, channels: int, kernel: int, **window: int) -> str:
    """A normalised convolution with Caffe's names: res2a_branch1, bn2a_branch1 and scale2a_branch1; conv1, bn_conv1
    …"""
    part = name.removeprefix("res") if name.startswith("res") else f"_{name}"
    return stack.normed_convolution(name, (f"bn{part}", f"scale{part}"), channels, kernel, **window, **MSRA)
