"""LeNet as one writes it in MXNet, with batches that lie in memory: `bare_mxnet_loop SIZE BATCH CHANNELS`."""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.loops.rounds import serve
from models_app.training.engines.mxnet.compat import mx


def main(size: int, batch_size: int, channels: int) -> None:
    """Train LeNet with SGD and momentum. It measures and reports nothing, and waits for the device once a round."""
    symbol = lenet(mx.sym)
    shapes = {"data": (batch_size, channels, size, size), "label": (batch_size,)}
    executor = symbol.simple_bind(mx.cpu(), **shapes, grad_req=requests(symbol))
    weights = [name for name in symbol.list_arguments() if name not in shapes]
    for name in weights:
        executor.arg_dict[name][:] = mx.nd.random.uniform(-0.05, 0.05, executor.arg_dict[name].shape)
    momenta = {name: mx.nd.zeros_like(executor.arg_dict[name]) for name in weights}
    rng = np.random.default_rng(0)
    batches = [
        (mx.nd.array(rng.integers(0, 256, shapes["data"])), mx.nd.array(rng.integers(0, 10, batch_size)))
        for _ in range(20)
    ]

    def run(steps: int) -> None:
        for step in range(steps):
            data, label = batches[step % len(batches)]
            executor.forward(is_train=True, data=data, label=label)
            executor.backward()
            for name in weights:
                weight, gradient, momentum = executor.arg_dict[name], executor.grad_dict[name], momenta[name]
                mx.nd.sgd_mom_update(weight, gradient, momentum, lr=0.01, wd=0.0005, momentum=0.9, out=weight)
        mx.nd.waitall()

    serve(run, batch_size)


def requests(symbol) -> dict[str, str]:
    """Gradients for the weights, none for the inputs."""
    return {name: "null" if name in ("data", "label") else "write" for name in symbol.list_arguments()}


def lenet(sym):
    """The network of models_app/networks/published/lenet.py."""
    value = sym.Variable("data") * 0.0125
    for name, filters in (("conv1", 20), ("conv2", 50)):
        value = sym.Convolution(value, num_filter=filters, kernel=(5, 5), name=name)
        value = sym.Pooling(value, kernel=(2, 2), stride=(2, 2), pool_type="max", pooling_convention="full")
    value = sym.Activation(sym.FullyConnected(value, num_hidden=500, name="ip1"), act_type="relu")
    value = sym.FullyConnected(value, num_hidden=10, name="ip2")
    return sym.SoftmaxOutput(value, sym.Variable("label"), normalization="batch")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
