"""The bare MXNet loop with which the trainer is compared: LeNet, SGD with momentum, synthetic batches in memory."""

from __future__ import annotations

import json
import sys
import time

import numpy as np


def images_per_second(shape: tuple[int, int, int], batch_size: int, images: int, epochs: int) -> float:
    """The speed of `epochs` epochs of `images` images. One epoch before them is not counted."""
    from models_app.training.engines.mxnet.compat import mx  # not at the top: the parent process needs no engine

    symbol = lenet(mx.sym)
    executor = symbol.simple_bind(
        mx.cpu(), data=(batch_size, *shape), label=(batch_size,), grad_req=gradient_requests(symbol)
    )
    weights = [name for name in symbol.list_arguments() if name not in ("data", "label")]
    for name in weights:
        executor.arg_dict[name][:] = mx.nd.random.uniform(-0.05, 0.05, executor.arg_dict[name].shape)
    momenta = {name: mx.nd.zeros_like(executor.arg_dict[name]) for name in weights}
    rng = np.random.default_rng(0)
    batches = [
        (mx.nd.array(rng.integers(0, 256, (batch_size, *shape))), mx.nd.array(rng.integers(0, 10, batch_size)))
        for _ in range(20)
    ]
    per_epoch = images // batch_size

    def epoch() -> None:
        for number in range(per_epoch):
            data, label = batches[number % len(batches)]
            executor.forward(is_train=True, data=data, label=label)
            executor.backward()
            for name in weights:
                weight, gradient, momentum = executor.arg_dict[name], executor.grad_dict[name], momenta[name]
                mx.nd.sgd_mom_update(weight, gradient, momentum, lr=0.01, wd=0.0005, momentum=0.9, out=weight)
        mx.nd.waitall()

    epoch()
    started = time.perf_counter()
    for _ in range(epochs):
        epoch()
    return epochs * per_epoch * batch_size / (time.perf_counter() - started)


def gradient_requests(symbol) -> dict[str, str]:
    """MXNet's grad_req: gradients for the weights, none for the inputs."""
    return {name: "null" if name in ("data", "label") else "write" for name in symbol.list_arguments()}


def lenet(sym):
    """The standard network LeNet, written in MXNet."""
    value = sym.Variable("data") * 0.0125
    for name, filters in (("conv1", 20), ("conv2", 50)):
        value = sym.Convolution(value, num_filter=filters, kernel=(5, 5), name=name)
        value = sym.Pooling(value, kernel=(2, 2), stride=(2, 2), pool_type="max", pooling_convention="full")
    value = sym.Activation(sym.FullyConnected(value, num_hidden=500, name="ip1"), act_type="relu")
    value = sym.FullyConnected(value, num_hidden=10, name="ip2")
    return sym.SoftmaxOutput(value, sym.Variable("label"), normalization="batch")


if __name__ == "__main__":
    print(json.dumps({"images_per_second": images_per_second(**json.loads(sys.argv[1]))}))
