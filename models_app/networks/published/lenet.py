"""LeNet (LeCun et al. 1998) as Caffe and DIGITS publish it."""

from models_app.networks.graph import Network
from models_app.networks.layer import Multipliers
from models_app.networks.published.stack import Frame, LayerStack
from models_app.networks.published.standard_network import StandardNetwork
from models_app.networks.resizing import WHOLE

# (lr_mult, decay_mult) of weights and biases: weight decay applies to LeNet's biases too.
MULTIPLIERS = (Multipliers(1, 1), Multipliers(2, 1))
XAVIER = {"weight_filler": {"type": "xavier"}, "bias_filler": {"type": "constant"}}


def lenet(frame: Frame, categories: int) -> Network:
    """Two convolutions with max pooling and two inner products, for small images such as 28×28 digits.

    Pixels are scaled by 0.0125 first. With raw values from 0 to 255, training diverges at the default learning rate.
    """
    stack = LayerStack(frame, mirror=False, multipliers=MULTIPLIERS)
    stack.put("Power", "scale", {"scale": 0.0125}, top="scaled")
    stack.convolution("conv1", 20, 5, **XAVIER)
    stack.max_pooling("pool1", 2, 2)
    stack.convolution("conv2", 50, 5, **XAVIER)
    stack.max_pooling("pool2", 2, 2)
    stack.inner_product("ip1", 500, **XAVIER)
    stack.over("ReLU", "relu1")
    stack.inner_product("ip2", categories, **XAVIER)
    return stack.classified("LeNet")


LENET = StandardNetwork(
    "lenet",
    lenet,
    batch_size=64,
    size=28,
    crops=False,
    resizing=WHOLE,
    summary="Small and fast, for digits, letters and other small gray images.",
)
