"""AlexNet (Krizhevsky et al. 2012) as Caffe and DIGITS publish it."""

from models_app.networks.graph import Network
from models_app.networks.normalization import IMAGENET
from models_app.networks.published.stack import Frame, LayerStack, gaussian
from models_app.networks.published.standard_network import StandardNetwork

RESPONSE = {"local_size": 5, "alpha": 0.0001, "beta": 0.75}


def alexnet(frame: Frame, categories: int) -> Network:
    """Five convolutions, three of them in two groups, and three inner products with dropout. Images from 55×55
    pixels."""
    stack = LayerStack(frame)
    stack.convolution("conv1", 96, 11, stride=4, **gaussian(0.01))
    stack.over("ReLU", "relu1")
    stack.put("LRN", "norm1", RESPONSE)
    stack.max_pooling("pool1", 3, 2)
    stack.convolution("conv2", 256, 5, pad=2, group=2, **gaussian(0.01, bias=0.1))
    stack.over("ReLU", "relu2")
    stack.put("LRN", "norm2", RESPONSE)
    stack.max_pooling("pool2", 3, 2)
    stack.convolution("conv3", 384, 3, pad=1, **gaussian(0.01))
    stack.over("ReLU", "relu3")
    stack.convolution("conv4", 384, 3, pad=1, group=2, **gaussian(0.01, bias=0.1))
    stack.over("ReLU", "relu4")
    stack.convolution("conv5", 256, 3, pad=1, group=2, **gaussian(0.01, bias=0.1))
    stack.over("ReLU", "relu5")
    stack.max_pooling("pool5", 3, 2)
    for number in (6, 7):
        stack.inner_product(f"fc{number}", 4096, **gaussian(0.005, bias=0.1))
        stack.over("ReLU", f"relu{number}")
        stack.over("Dropout", f"drop{number}", {"dropout_ratio": 0.5})
    stack.inner_product("fc8", categories, **gaussian(0.01))
    return stack.classified("AlexNet")


ALEXNET = StandardNetwork(
    "alexnet",
    alexnet,
    batch_size=128,
    size=227,
    normalization=IMAGENET,
    summary="The network with which deep learning began, for photos; many weights.",
)


def alexnet_torch(frame: Frame, categories: int) -> Network:
    """AlexNet as torchvision has it ("One weird trick", Krizhevsky 2014): fewer filters, no groups, no local responses.
    Images from 63×63 pixels."""
    stack = LayerStack(frame)
    sizes = {1: (64, 11, 4, 2), 2: (192, 5, 1, 2), 3: (384, 3, 1, 1), 4: (256, 3, 1, 1), 5: (256, 3, 1, 1)}
    for number, (channels, kernel, stride, pad) in sizes.items():
        stack.convolution(f"conv{number}", channels, kernel, stride=stride, pad=pad, **gaussian(0.01))
        stack.over("ReLU", f"relu{number}")
        if number in (1, 2, 5):
            stack.max_pooling(f"pool{number}", 3, 2, round_mode="FLOOR")
    for number in (6, 7):
        stack.over("Dropout", f"drop{number}", {"dropout_ratio": 0.5})
        stack.inner_product(f"fc{number}", 4096, **gaussian(0.005, bias=0.1))
        stack.over("ReLU", f"relu{number}")
    stack.inner_product("fc8", categories, **gaussian(0.01))
    return stack.classified("AlexNet of torchvision")


ALEXNET_TORCH = StandardNetwork(
    "alexnet_torch",
    alexnet_torch,
    batch_size=128,
    size=224,
    normalization=IMAGENET,
    summary="AlexNet as PyTorch has it, for its published weights.",
)
