"""The steps of one of this project's engines: `engine_loop ENGINE NETWORK SIZE BATCH CHANNELS train|validate`, and then
perhaps a device and hyperparameters as JSON. The Python must have the engine."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

from benchmarks.loops.rounds import serve
from digits_project.common.resources import usable_cores
from models_app.networks import standard
from models_app.training.engines import EngineConfig, open_engine
from models_app.training.hyperparameters import Hyperparameters

LEARNING_RATE = 0.01


def main(
    name: str, network_name: str, size: int, batch_size: int, channels: int, mode: str, device: str, fields: Any
) -> None:
    """Train with SGD and momentum on random images, or validate, batch by batch, as the training loop does."""
    network = standard(network_name, (channels, size, size), 10)
    settings = {**Hyperparameters(batch_size=batch_size, **fields).values(), "threads": usable_cores(), "seed": 1}
    mean = np.full((channels, 1, 1), 120, np.float32)
    engine = open_engine(name, EngineConfig(network=network, mean=mean, devices=(device,), **settings))
    engine.load_weights(network.initial_weights(1))
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4, batch_size, channels, size, size)).astype(np.uint8)
    labels = rng.integers(0, 10, (4, batch_size)).astype(np.float32)

    def train(steps: int) -> None:
        for step in range(steps):
            engine.train_batch(images[step % 4], labels[step % 4], LEARNING_RATE)
        engine.training_scores()
        engine.optimizer_state()  # waits for the last step

    def validate(steps: int) -> None:
        for step in range(steps):
            engine.evaluate_batch(images[step % 4], labels[step % 4])
        engine.evaluation_scores()

    serve({"train": train, "validate": validate}[mode], batch_size)


if __name__ == "__main__":
    _device, _fields = (*sys.argv[7:], *("cpu", "{}")[len(sys.argv) - 7 :])
    main(sys.argv[1], sys.argv[2], *map(int, sys.argv[3:6]), sys.argv[6], _device, json.loads(_fields))
