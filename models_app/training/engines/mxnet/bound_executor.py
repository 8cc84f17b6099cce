"""A phase of a network, bound: with memory on a device, ready to run."""

from __future__ import annotations

import numpy as np

from models_app.training.engines.interface import EngineConfig
from models_app.training.engines.mxnet import layer_builders
from models_app.training.engines.mxnet.compat import mx
from models_app.training.measures import Tally

Arrays = dict[str, mx.nd.NDArray]


class BoundExecutor:
    """One phase of the network with memory of its own for images, labels and results; weights are shared.

    But for training, its running averages are its own too, to be corrected before they are used. The scores of what it
    runs go to `tally`.
    """

    def __init__(
        self, config: EngineConfig, phase: str, context: mx.Context, weights: Arrays, gradients: Arrays, tally: Tally
    ) -> None:
        weights_of_categories = config.category_weights if phase == "train" else None
        graph = layer_builders.build(config.network, phase, config.mean, weights_of_categories)
        if phase != "deploy":
            config.network.check_trainable(phase)
        self.outputs = config.network.outputs(phase) if phase == "deploy" else list(graph.kept)
        results = [graph.values[name] for name in self.outputs] if phase == "deploy" else list(graph.kept.values())
        symbol = mx.sym.Group([*graph.heads, *map(mx.sym.BlockGrad, results)])
        shape = (config.batch_size, *config.network.input_shape)
        self.data = mx.nd.zeros(shape, context, dtype="uint8")
        self.label = mx.nd.zeros((config.batch_size, *config.network.label_shape), context)
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
        """What the last run computed, for each of `outputs`."""
        outputs = self.executor.outputs
        return outputs[len(outputs) - len(self.outputs) :]

    def run(self, images: np.ndarray, labels: np.ndarray | None, is_train: bool) -> None:
        # What data[:] = images comes to, at a fifth of the cost.
        self.data._sync_copyfrom(images)
        if labels is not None:
            self.label._sync_copyfrom(labels)
        self.executor.forward(is_train=is_train)
        if labels is not None:
            self._kept.keep(self.results, labels)

    def read_scores(self) -> None:
        """Wait for what has run, so that `tally` knows all of it."""
        self._kept.read()


class ScoreBuffer:
    """The scores of some batches, kept on the device until there are enough to read: reading waits for them.

    Their labels, of `label_size` numbers a batch, are kept on the host meanwhile.
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
        """All of them as one: the measures cost as much for a batch as for many."""
        if not self._labels:
            return
        kept = zip(self._sources, *self._places[: len(self._labels)], strict=True)
        scores = {source: np.concatenate([place.asnumpy() for place in places]) for source, *places in kept}
        self._tally.add(scores, np.concatenate(self._labels), batches=len(self._labels))
        self._labels.clear()
