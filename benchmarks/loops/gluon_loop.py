"""MXNet's own Gluon networks, trained as its tutorials do: `gluon_loop NETWORK SIZE BATCH CHANNELS`."""

from __future__ import annotations

import sys

import numpy as np

from benchmarks.loops.rounds import serve
from models_app.training.engines.mxnet.compat import mx

NETWORKS = {"resnet18": "resnet18_v1", "mobilenet_v2": "mobilenetv2_1.0"}


def main(name: str, size: int, batch_size: int, channels: int) -> None:
    network = mx.gluon.model_zoo.vision.get_model(NETWORKS[name], classes=10)
    network.initialize(mx.init.Xavier())
    network.hybridize(static_alloc=True, static_shape=True)
    loss_of = mx.gluon.loss.SoftmaxCrossEntropyLoss()
    sgd = {"learning_rate": 0.01, "momentum": 0.9, "wd": 0.0005}
    trainer = mx.gluon.Trainer(network.collect_params(), "sgd", sgd, kvstore=None)
    rng = np.random.default_rng(0)
    batches = [
        (
            mx.nd.array(rng.standard_normal((batch_size, channels, size, size)).astype(np.float32)),
            mx.nd.array(rng.integers(0, 10, batch_size).astype(np.float32)),
        )
        for _ in range(4)
    ]

    def run(steps: int) -> None:
        for step in range(steps):
            images, labels = batches[step % len(batches)]
            with mx.autograd.record():
                loss = loss_of(network(images), labels)
            loss.backward()
            trainer.step(batch_size)
            if step % 4 == 3:
                loss.wait_to_read()  # an unbounded queue of steps would only take memory
        mx.nd.waitall()

    serve(run, batch_size)


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:]))
