"""GoogLeNet (Szegedy et al. 2014) as Caffe and DIGITS publish it."""

from typing import Any

from models_app.networks.graph import Network
from models_app.networks.normalization import HALF
from models_app.networks.published.stack import WEIGHT_AND_BIAS, Frame, LayerStack, xavier
from models_app.networks.published.standard_network import StandardNetwork

RESPONSE = {"local_size": 5, "alpha": 0.0001, "beta": 0.75}

# Channels of each inception module: the 1×1; reduction and 3×3; reduction and 5×5; the pool.
INCEPTIONS = {
    "3a": (64, (96, 128), (16, 32), 32),
    "3b": (128, (128, 192), (32, 96), 64),
    "4a": (192, (96, 208), (16, 48), 64),
    "4b": (160, (112, 224), (24, 64), 64),
    "4c": (128, (128, 256), (24, 64), 64),
    "4d": (112, (144, 288), (32, 64), 64),
    "4e": (256, (160, 320), (32, 128), 128),
    "5a": (256, (160, 320), (32, 128), 128),
    "5b": (384, (192, 384), (48, 128), 128),
}
POOLED_AFTER = {"3b": "pool3/3x3_s2", "4e": "pool4/3x3_s2"}
JUDGED_AFTER = {"4a": "loss1", "4d": "loss2"}

TRAIN = ("train",)
LOSS_WEIGHT = 0.3  # of the two auxiliary losses


def googlenet(frame: Frame, categories: int) -> Network:
    """Nine inception modules. In training, two auxiliary classifiers add to the loss. Images from 79×79 pixels.

    The last pooling, published as 7×7 for 224×224, covers the whole image at any size.
    """
    stack = LayerStack(frame)
    _stem(stack)
    for name, channels in INCEPTIONS.items():
        output = _inception(stack, f"inception_{name}", *channels)
        if name in JUDGED_AFTER:
            _auxiliary(stack, JUDGED_AFTER[name], categories)
            stack.top = output
        if name in POOLED_AFTER:
            stack.max_pooling(POOLED_AFTER[name], 3, 2)
    stack.pool_all("pool5/7x7_s1")
    stack.over("Dropout", "pool5/drop_7x7_s1", {"dropout_ratio": 0.4})
    stack.inner_product("loss3/classifier", categories, **xavier())
    return stack.classified("GoogLeNet")


GOOGLENET = StandardNetwork(
    "googlenet",
    googlenet,
    batch_size=32,
    size=224,
    normalization=HALF,
    summary="For photos; few weights, slower to train than its size suggests.",
)


def _stem(stack: LayerStack) -> None:
    _convolution(stack, "conv1/7x7_s2", "conv1/relu_7x7", 64, 7, stride=2, pad=3)
    stack.max_pooling("pool1/3x3_s2", 3, 2)
    stack.put("LRN", "pool1/norm1", RESPONSE)
    _convolution(stack, "conv2/3x3_reduce", "conv2/relu_3x3_reduce", 64, 1)
    _convolution(stack, "conv2/3x3", "conv2/relu_3x3", 192, 3, pad=1)
    stack.put("LRN", "conv2/norm2", RESPONSE)
    stack.max_pooling("pool2/3x3_s2", 3, 2)


def _inception(stack: LayerStack, name: str, single: int, three: tuple, five: tuple, pooled: int) -> str:
    """Four branches from one input, joined by channels. Returns the top."""
    bottom, branches = stack.top, []
    branches.append(_convolution(stack, f"{name}/1x1", f"{name}/relu_1x1", single, 1))
    for size, (reduced, channels) in ((3, three), (5, five)):
        stack.top, part = bottom, f"{size}x{size}"
        _convolution(stack, f"{name}/{part}_reduce", f"{name}/relu_{part}_reduce", reduced, 1)
        branches.append(_convolution(stack, f"{name}/{part}", f"{name}/relu_{part}", channels, size, pad=size // 2))
    stack.top = bottom
    stack.max_pooling(f"{name}/pool", 3, 1, pad=1)
    branches.append(_convolution(stack, f"{name}/pool_proj", f"{name}/relu_pool_proj", pooled, 1))
    return stack.put("Concat", f"{name}/output", bottoms=branches)


def _convolution(stack: LayerStack, name: str, relu: str, channels: int, kernel: int, **parameters: int) -> str:
    stack.convolution(name, channels, kernel, **parameters, **xavier(bias=0.2))
    return stack.over("ReLU", relu)


def _auxiliary(stack: LayerStack, name: str, categories: int) -> None:
    """Add an auxiliary classifier, in training only."""
    learned: dict[str, Any] = {"multipliers": WEIGHT_AND_BIAS, "phases": TRAIN}
    sizes = {"num_output": 128, "kernel_size": 1}
    stack.put("Pooling", f"{name}/ave_pool", {"pool": "AVE", "kernel_size": 5, "stride": 3}, phases=TRAIN)
    stack.put("Convolution", f"{name}/conv", sizes | xavier(bias=0.2), **learned)
    stack.over("ReLU", f"{name}/relu_conv", phases=TRAIN)
    stack.put("InnerProduct", f"{name}/fc", {"num_output": 1024} | xavier(bias=0.2), **learned)
    stack.over("ReLU", f"{name}/relu_fc", phases=TRAIN)
    stack.over("Dropout", f"{name}/drop_fc", {"dropout_ratio": 0.7}, phases=TRAIN)
    scores = stack.put("InnerProduct", f"{name}/classifier", {"num_output": categories} | xavier(), **learned)
    stack.put("SoftmaxWithLoss", f"{name}/loss", {"loss_weight": LOSS_WEIGHT}, bottoms=(scores, "label"), phases=TRAIN)
