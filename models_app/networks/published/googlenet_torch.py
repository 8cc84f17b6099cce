"""GoogLeNet as torchvision has it: batch normalization instead of local responses, and 3×3 instead of 5×5 filters."""

from models_app.networks.graph import Network
from models_app.networks.normalization import HALF
from models_app.networks.published.googlenet import INCEPTIONS
from models_app.networks.published.stack import MSRA, NORM, Frame, LayerStack, gaussian
from models_app.networks.published.standard_network import StandardNetwork

POOLED_AFTER = {"3b": 3, "4e": 2}  # the kernel of the pooling


def googlenet_torch(frame: Frame, categories: int) -> Network:
    """Nine inception modules, without auxiliary classifiers. Images of any size from 18×18 pixels."""
    stack = LayerStack(frame, norm={**NORM, "eps": 1e-3})
    _convolution(stack, "conv1", 64, 7, stride=2, pad=3)
    stack.max_pooling("pool1", 3, 2)
    _convolution(stack, "conv2", 64, 1)
    _convolution(stack, "conv3", 192, 3, pad=1)
    stack.max_pooling("pool2", 3, 2)
    for name, channels in INCEPTIONS.items():
        _inception(stack, f"inception{name}", *channels)
        if name in POOLED_AFTER:
            stack.max_pooling(f"pool{name}", POOLED_AFTER[name], 2)
    stack.pool_all("pool5")
    stack.over("Dropout", "drop", {"dropout_ratio": 0.2})
    stack.inner_product("fc", categories, **gaussian(0.01))
    return stack.classified("GoogLeNet of torchvision")


GOOGLENET_TORCH = StandardNetwork(
    "googlenet_torch",
    googlenet_torch,
    batch_size=32,
    size=224,
    normalization=HALF,
    summary="GoogLeNet as PyTorch has it, for its published weights.",
)


def _inception(stack: LayerStack, name: str, single: int, three: tuple, five: tuple, pooled: int) -> None:
    bottom, branches = stack.top, [_convolution(stack, f"{name}/branch1", single, 1)]
    for branch, (reduced, channels) in (("branch2", three), ("branch3", five)):
        stack.top = bottom
        _convolution(stack, f"{name}/{branch}_reduce", reduced, 1)
        branches.append(_convolution(stack, f"{name}/{branch}", channels, 3, pad=1))
    stack.top = bottom
    stack.max_pooling(f"{name}/pool", 3, 1, pad=1)
    branches.append(_convolution(stack, f"{name}/branch4", pooled, 1))
    stack.put("Concat", f"{name}/output", bottoms=branches)


def _convolution(stack: LayerStack, name: str, channels: int, kernel: int, **window: int) -> str:
    stack.normed_convolution(name, (f"{name}/bn", f"{name}/scale"), channels, kernel, **window, **MSRA)
    return stack.over("ReLU", f"{name}/relu")
