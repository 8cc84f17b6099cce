"""LeNet (LeCun et al. 1998) as Caffe and DIGITS publish it."""

from models_app.networks.graph import Network
from models_app.networks.layer import Layer, Multipliers

# Weights learn at the solver's rate; biases at twice that and without decay.
MULTIPLIERS = (Multipliers(1, 1), Multipliers(2, 0))
XAVIER = {"weight_filler": {"type": "xavier"}, "bias_filler": {"type": "constant"}}


def lenet(input_shape: tuple[int, int, int], categories: int) -> Network:
    """Two convolutions with max pooling and two inner products, for small images such as 28×28 digits.

    Pixels are scaled by 0.0125 first: with raw values from 0 to 255 training diverges at the default learning rate.
    """
    labelled = ("train", "val")
    layers = (
        Layer("data", "Data", (), ("data", "label")),
        Layer("scale", "Power", ("data",), ("scaled",), {"scale": 0.0125}),
        _convolution("conv1", "scaled", 20),
        _pooling("pool1", "conv1"),
        _convolution("conv2", "pool1", 50),
        _pooling("pool2", "conv2"),
        Layer("ip1", "InnerProduct", ("pool2",), ("ip1",), {"num_output": 500, **XAVIER}, MULTIPLIERS),
        Layer("relu1", "ReLU", ("ip1",), ("ip1",)),
        Layer("ip2", "InnerProduct", ("ip1",), ("ip2",), {"num_output": categories, **XAVIER}, MULTIPLIERS),
        Layer("loss", "SoftmaxWithLoss", ("ip2", "label"), ("loss",), phases=labelled),
        Layer("accuracy", "Accuracy", ("ip2", "label"), ("accuracy",), phases=labelled),
        Layer("softmax", "Softmax", ("ip2",), ("softmax",), phases=("deploy",)),
    )
    return Network("LeNet", input_shape, layers)


def _convolution(name: str, bottom: str, outputs: int) -> Layer:
    return Layer(
        name, "Convolution", (bottom,), (name,), {"num_output": outputs, "kernel_size": 5, **XAVIER}, MULTIPLIERS
    )


def _pooling(name: str, bottom: str) -> Layer:
    return Layer(name, "Pooling", (bottom,), (name,), {"pool": "MAX", "kernel_size": 2, "stride": 2})
