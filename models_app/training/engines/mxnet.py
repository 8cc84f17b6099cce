"""The MXNet engine: a network as bound executors that share their weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from digits_project.errors import BadInput
from models_app.networks import Network, Node
from models_app.networks.layers import dense
from models_app.training.engines import mxnet_layers
from models_app.training.engines.base import Setup
from models_app.training.engines.mxnet_compat import mx
from models_app.training.engines.mxnet_solvers import SOLVERS
from models_app.training.measures import Scores, Tally

Arrays = dict[str, mx.nd.NDArray]


def open_engine(setup: Setup) -> MXNetEngine:
    """Build the network. Raises BadInput if the device is not there."""
    return MXNetEngine(setup)


class MXNetEngine:
    """See Engine. Only putting in a batch waits for the device: until it has read the batch before."""

    def __init__(self, setup: Setup) -> None:
        self.name = f"mxnet {mx.__version__}"
        self.device = setup.device
        self.threads = setup.threads
        self._setup = setup
        self._context = _context(setup.device)
        weights = setup.network.weights()
        self._averages = _Averages(setup.network)
        self._weights = {w.name: mx.nd.zeros(w.shape, self._context) for w in weights}
        self._solver = SOLVERS[setup.solver_type]([w for w in weights if w.trained], self._weights, setup)
        self._draws = any(node.layer.type == "Dropout" for node in setup.network.nodes("train"))
        self._batches = 0  # trained in all
        self._gathered = 0  # of those, since the last step
        self._bound: dict[str, _Bound] = {}

    def train_batch(self, images: np.ndarray, labels: np.ndarray, learning_rate: float | None) -> None:
        bound = self._phase("train")
        if self._draws:
            self._begin_draws()
        bound.run(images, labels, is_train=True)
        bound.executor.backward()
        self._averages.moved()
        self._batches += 1
        self._gathered += 1
        if learning_rate is not None:
            self._solver.step(learning_rate, self._gathered)
            self._gathered = 0

    def _begin_draws(self) -> None:
        """Dropout draws what follows from the seed and the batch's number alone: the same in a training that goes on.

        This costs a millisecond, as MXNet has 1024 generators to seed, and so much a batch.
        """
        [drawn] = np.random.SeedSequence([self._setup.seed, self._batches]).generate_state(1)
        mx.random.seed(int(drawn), self._context)

    def training_scores(self) -> Scores:
        return self._phase("train").scores()

    def evaluate_batch(self, images: np.ndarray, labels: np.ndarray) -> None:
        self._measuring("val").run(images, labels, is_train=False)

    def evaluation_scores(self) -> Scores:
        return self._phase("val").scores()

    def forward(self, images: np.ndarray) -> dict[str, np.ndarray]:
        bound = self._measuring("deploy")
        batch = np.zeros((self._setup.batch_size, *images.shape[1:]), np.uint8)
        batch[: len(images)] = images
        bound.run(batch, None, is_train=False)
        results = zip(bound.outputs, bound.results, strict=True)
        return {name: value.asnumpy()[: len(images)] for name, value in results}

    def weights(self) -> dict[str, np.ndarray]:
        mx.nd.waitall()  # MXNet does not tell that backward writes the running averages
        arrays = {name: array.asnumpy() for name, array in self._weights.items()}
        return {**arrays, **self._averages.factors()}

    def load_weights(self, weights: Mapping[str, np.ndarray]) -> None:
        mx.nd.waitall()
        for name, array in self._weights.items():
            array[:] = weights[name]
        self._averages.load_factors(weights)

    def optimizer_state(self) -> dict[str, np.ndarray]:
        return {"batches": np.array(self._batches), **self._solver.state()}

    def load_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        self._solver.load_state({name: array for name, array in state.items() if name != "batches"})
        self._batches = int(state["batches"])

    def _phase(self, phase: str) -> _Bound:
        """Bound when it is first needed."""
        if phase not in self._bound:
            gradients = self._solver.gradients if phase == "train" else {}
            self._bound[phase] = _Bound(self._setup, phase, self._context, self._weights, gradients)
        return self._bound[phase]

    def _measuring(self, phase: str) -> _Bound:
        bound = self._phase(phase)
        self._averages.correct(self._weights, bound)
        return bound


class _Bound:
    """One phase of the network with memory of its own for images, labels and results; weights are shared.

    But for training, its running averages are its own too, to be corrected before they are used.
    """

    def __init__(self, setup: Setup, phase: str, context: mx.Context, weights: Arrays, gradients: Arrays) -> None:
        graph = mxnet_layers.build(setup.network, phase, setup.mean)
        if phase != "deploy":
            setup.network.check_trainable(phase)
        self.outputs = setup.network.outputs(phase) if phase == "deploy" else list(graph.kept)
        results = [graph.values[name] for name in self.outputs] if phase == "deploy" else list(graph.kept.values())
        symbol = mx.sym.Group([*graph.heads, *map(mx.sym.BlockGrad, results)])
        shape = (setup.batch_size, *setup.network.input_shape)
        self.data = mx.nd.zeros(shape, context, dtype="uint8")
        self.label = mx.nd.zeros((setup.batch_size, *setup.network.label_shape), context)
        constants = {name: mx.nd.array(value, context) for name, value in graph.constants.items()}
        known = {**weights, **constants, "data": self.data, "label": self.label}
        arguments = {name: known[name] for name in symbol.list_arguments()}
        if phase == "train":
            gradients = {**gradients, **{name: mx.nd.zeros_like(known[name]) for name in graph.backward}}
        averages = {name: weights[name] for name in symbol.list_auxiliary_states()}
        self.averages = averages if phase == "train" else {name: array.copy() for name, array in averages.items()}
        write = "add" if setup.batch_accumulation > 1 else "write"
        requests = {name: write if name in gradients else "null" for name in arguments}
        self.executor = symbol.bind(context, arguments, gradients, requests, self.averages)
        self._kept = _Kept(self.outputs, self.results, Tally(setup.network, phase))

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

    def scores(self) -> Scores:
        """Averages by measure since the last call."""
        return self._kept.averages()


class _Kept:
    """The scores of some batches, kept on the device until there are enough to read: reading waits for them."""

    MOST_BATCHES = 64
    MOST_BYTES = 4 << 20

    def __init__(self, sources: list, results: list[mx.nd.NDArray], tally: Tally) -> None:
        self._sources = sources
        self._tally = tally
        batch_bytes = max(1, sum(4 * result.size for result in results))
        self._room = max(1, min(self.MOST_BATCHES, self.MOST_BYTES // batch_bytes))
        self._places = [[mx.nd.zeros_like(result) for result in results] for _ in range(self._room)]
        self._labels: list[np.ndarray] = []

    def keep(self, results: list[mx.nd.NDArray], labels: np.ndarray) -> None:
        for result, place in zip(results, self._places[len(self._labels)], strict=True):
            result.copyto(place)
        self._labels.append(labels.copy())
        if len(self._labels) == self._room:
            self._read()

    def averages(self) -> Scores:
        self._read()
        return self._tally.averages()

    def _read(self) -> None:
        for places, labels in zip(self._places, self._labels, strict=False):
            scores = {source: place.asnumpy() for source, place in zip(self._sources, places, strict=True)}
            self._tally.add(scores, labels)
        self._labels.clear()


class _Averages:
    """The `factor` of every BatchNorm, which MXNet does not know, and what follows from it (see dense.BatchNorm)."""

    def __init__(self, network: Network) -> None:
        self._nodes: list[Node] = [node for node in network.nodes("train") if isinstance(node.kind, dense.BatchNorm)]
        self._start = {node.weights[2].name: 0.0 for node in self._nodes}
        self._batches = 0  # trained since the factors were loaded
        self._corrected: set[_Bound] = set()

    def moved(self) -> None:
        """A batch has been trained."""
        self._batches += 1
        self._corrected.clear()

    def factors(self) -> dict[str, np.ndarray]:
        """As they are now."""
        return {node.weights[2].name: np.array([self._factor(node)], np.float32) for node in self._nodes}

    def _factor(self, node: Node) -> float:
        start = self._start[node.weights[2].name]
        if node.kind.use_global_stats:
            return start
        return 1 - (1 - start) * node.kind.moving_average_fraction**self._batches

    def load_factors(self, weights: Mapping[str, np.ndarray]) -> None:
        self._start = {node.weights[2].name: float(weights[node.weights[2].name][0]) for node in self._nodes}
        self._batches = 0
        self._corrected.clear()

    def correct(self, weights: Arrays, bound: _Bound) -> None:
        """Put averages / factor where a phase without training reads them, if they have changed since."""
        if not self._nodes or bound in self._corrected:
            return
        self._corrected.add(bound)
        mx.nd.waitall()  # as in MXNetEngine.weights
        for node in self._nodes:
            factor = max(self._factor(node), dense.SMALLEST_FACTOR)
            for weight in node.weights[:2]:
                bound.averages[weight.name][:] = weights[weight.name] / factor


def _context(device: str) -> mx.Context:
    if device == "cpu":
        return mx.cpu()
    number = int(device.removeprefix("gpu"))
    if number >= mx.context.num_gpus():
        raise BadInput(f"there is no {device}: MXNet finds {mx.context.num_gpus()} GPUs here")
    return mx.gpu(number)
