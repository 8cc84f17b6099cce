"""SqueezeNet 1.1 (Iandola et al. 2016) as its authors publish it."""

from models_app.networks.graph import Network
from models_app.networks.normalization import IMAGENET
from models_app.networks.published.stack import Frame, LayerStack, gaussian, xavier
from models_app.networks.published.standard_network import StandardNetwork

SQUEEZED = {2: 16, 3: 16, 4: 32, 5: 32, 6: 48, 7: 48, 8: 64, 9: 64}  # channels of each fire module's bottleneck
EXPANSION = 4  # of each of its two halves
POOLED_AFTER = (3, 5)


def squeezenet(frame: Frame, categories: int) -> Network:
    """Eight fire modules: a 1×1 convolution, then a 1×1 and a 3×3 one side by side. Images from 25×25 pixels."""
    stack = LayerStack(frame)
    stack.convolution("conv1", 64, 3, stride=2, **xavier())
    stack.over("ReLU", "relu_conv1")
    stack.max_pooling("pool1", 3, 2)
    for number, squeezed in SQUEEZED.items():
        _fire(stack, f"fire{number}", squeezed)
        if number in POOLED_AFTER:
            stack.max_pooling(f"pool{number}", 3, 2)
    stack.over("Dropout", "drop9", {"dropout_ratio": 0.5})
    stack.convolution("conv10", categories, 1, **gaussian(0.01))
    stack.over("ReLU", "relu_conv10")
    stack.pool_all("pool10")
    return stack.classified("SqueezeNet")


SQUEEZENET = StandardNetwork(
    "squeezenet",
    squeezenet,
    batch_size=32,
    size=224,
    normalization=IMAGENET,
    summary="The fewest weights, where a model must be small to download.",
)


def _fire(stack: LayerStack, name: str, squeezed: int) -> None:
    bottleneck = stack.convolution(f"{name}/squeeze1x1", squeezed, 1, **xavier())
    stack.over("ReLU", f"{name}/relu_squeeze1x1")
    narrow = stack.convolution(f"{name}/expand1x1", EXPANSION * squeezed, 1, **xavier())
    stack.over("ReLU", f"{name}/relu_expand1x1")
    stack.top = bottleneck
    wide = stack.convolution(f"{name}/expand3x3", EXPANSION * squeezed, 3, pad=1, **xavier())
    stack.over("ReLU", f"{name}/relu_expand3x3")
    stack.put("Concat", f"{name}/concat", bottoms=(narrow, wide))
