"""A phase of a network, bound to memory on a device and ready to run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from models_app.training.augmentation.soft_labels import soft_label_width
from models_app.training.engines.interface import EngineConfig
from models_app.training.engines.mxnet import layer_builders
from models_app.training.engines.mxnet.compat import mx
from models_app.training.engines.score_buffer import ScoreBuffer
from models_app.training.measures import Tally

Arrays = dict[str, mx.nd.NDArray]


class BoundExecutor:
    """One phase of the network with its own memory for images, labels and results; weights are shared.

    Outside of training the running averages are its own too, because they are corrected before use. The scores of each
    run are added to `tally`.
    """

    def __init__(
        self, config: EngineConfig, phase: str, context: mx.Context, weights: Arrays, gradients: Arrays, tally: Tally
    ) -> None:
        weights_of_categories = config.category_weights if phase == "train" else None
        width = soft_label_width(config, config.network) if phase == "train" else 0
        graph = layer_builders.build(
            config.network, phase, config.mean, config.scale, weights_of_categories, width > 0, config.aug_whitening
        )
        if phase != "deploy":
            config.network.check_trainable(phase)
        self.outputs: list[Any] = config.network.outputs(phase) if phase == "deploy" else list(graph.kept)
        results = [graph.values[name] for name in self.outputs] if phase == "deploy" else list(graph.kept.values())
        symbol = mx.sym.Group([*graph.heads, *map(mx.sym.BlockGrad, results)])
        shape = (config.batch_size, *config.network.input_shape)
        self.data = mx.nd.zeros(shape, context, dtype=config.input_type)
        label_shape = (width,) if width else config.network.label_shape
        self.label = mx.nd.zeros((config.batch_size, *label_shape), context)
        constants = {name: mx.nd.array(value, context) for name, value in graph.constants.items()}
        known = {**weights, **constants, "data": self.data, "label": self.label}
        arguments = {name: known[name] for name in symbol.list_arguments()}
        if phase == "train":
            gradients = {**gradients, **{name: mx.nd.zeros_like(known[name]) for name in graph.backward}}
        averages = {name: weights[name] for name in symbol.list_auxiliary_states()}
        self.averages = averages if phase == "train" else {name: array.copy() for name, array in averages.items()}
        write = "add" if config.batch_accumulation > 1 else "write"
        requests = {name: write if name in gradients else "null" for name in arguments}
        self.executor = symbol.bind(context, arguments, gradients, requests, self.averages)
        self._kept = DeviceScores(self.outputs, self.results, self.label.size, tally)

    @property
    def results(self) -> list[mx.nd.NDArray]:
        """The results of the last run, one for each of `outputs`."""
        outputs = self.executor.outputs
        return outputs[len(outputs) - len(self.outputs) :]

    def run(self, images: np.ndarray, labels: np.ndarray | None, is_train: bool) -> None:
        # The same as data[:] = images, in a fifth of the time.
        self.data._sync_copyfrom(images)
        if labels is not None:
            self.label._sync_copyfrom(labels)
        self.executor.forward(is_train=is_train)
        if labels is not None:
            self._kept.keep(self.results, labels)

    def read_scores(self) -> None:
        """Wait for all runs and add their scores to `tally`."""
        self._kept.read()


class DeviceScores(ScoreBuffer):
    """Keeps the scores of several batches in arrays on the device."""

    def __init__(self, sources: list, results: list[mx.nd.NDArray], label_size: int, tally: Tally) -> None:
        super().__init__(sources, label_size + sum(result.size for result in results), tally)
        self._places = [[mx.nd.zeros_like(result) for result in results] for _ in range(self.room)]

    def hold(self, place: int, results: Sequence[mx.nd.NDArray]) -> Sequence[mx.nd.NDArray]:
        for result, array in zip(results, self._places[place], strict=True):
            result.copyto(array)
        return self._places[place]

    def numbers(self, results: Sequence[mx.nd.NDArray]) -> np.ndarray:
        return np.concatenate([array.asnumpy() for array in results])
