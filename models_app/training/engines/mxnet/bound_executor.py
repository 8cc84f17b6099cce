"""A phase of a network, bound to memory on a device and ready to run."""

from __future__ import annotations

from typing import Any

import numpy as np

from models_app.training.augmentation.soft_labels import soft_label_width
from models_app.training.engines.interface import EngineConfig
from models_app.training.engines.mxnet import layer_builders
from models_app.training.engines.mxnet.compat import mx
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
        self._kept = ScoreBuffer(self.outputs, self.results, self.label.size, tally)

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


class ScoreBuffer:
    """Keeps the scores of several batches on the device and reads them together, because reading waits for the device.

    Their labels, `label_size` numbers per batch, are kept on the host meanwhile.
    """

    MAX_BATCHES = 64
    MAX_BYTES = 4 << 20

    def __init__(self, sources: list, results: list[mx.nd.NDArray], label_size: int, tally: Tally) -> None:
        self._sources = sources
        self._tally = tally
        batch_bytes = 4 * (label_size + sum(result.size for result in results))
        self._room = max(1, min(self.MAX_BATCHES, self.MAX_BYTES // batch_bytes))
        self._places = [[mx.nd.zeros_like(result) for result in results] for _ in range(self._room)]
        self._labels: list[np.ndarray] = []

    def keep(self, results: list[mx.nd.NDArray], labels: np.ndarray) -> None:
        for result, place in zip(results, self._places[len(self._labels)], strict=True):
            result.copyto(place)
        self._labels.append(labels.copy())
        if len(self._labels) == self._room:
            self.read()

    def read(self) -> None:
        """Read the scores of all batches as one, because a measure costs the same for one batch as for many."""
        if not self._labels:
            return
        kept = zip(self._sources, *self._places[: len(self._labels)], strict=True)
        scores = {source: np.concatenate([place.asnumpy() for place in places]) for source, *places in kept}
        self._tally.add(scores, np.concatenate(self._labels), batches=len(self._labels))
        self._labels.clear()
