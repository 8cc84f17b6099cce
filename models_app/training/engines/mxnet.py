"""The MXNet engine: a network as bound executors that share their weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from digits_project.errors import BadInput
from models_app.networks import BadNetwork, Network, Node, Weight
from models_app.networks.layers import dense
from models_app.training.engines import mxnet_layers
from models_app.training.engines.base import Setup
from models_app.training.engines.mxnet_compat import mx

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
        mx.random.seed(setup.seed)
        weights = setup.network.weights()
        self._averages = _Averages(setup.network)
        self._weights = {w.name: mx.nd.zeros(w.shape, self._context) for w in weights}
        self._solver = SGD([w for w in weights if _trained(w)], self._weights, setup.momentum, setup.weight_decay)
        self._bound: dict[str, _Bound] = {}

    def train_batch(self, images: np.ndarray, labels: np.ndarray, learning_rate: float) -> None:
        bound = self._phase("train")
        bound.run(images, labels, is_train=True)
        bound.executor.backward()
        self._solver.step(learning_rate)
        self._averages.moved()

    def training_scores(self) -> dict[str, float]:
        return self._phase("train").scores()

    def evaluate_batch(self, images: np.ndarray, labels: np.ndarray) -> None:
        self._measuring("val").run(images, labels, is_train=False)

    def evaluation_scores(self) -> dict[str, float]:
        return self._phase("val").scores()

    def forward(self, images: np.ndarray) -> dict[str, np.ndarray]:
        bound = self._measuring("deploy")
        batch = np.zeros((self._setup.batch_size, *images.shape[1:]), np.uint8)
        batch[: len(images)] = images
        bound.run(batch, None, is_train=False)
        results = zip(bound.outputs, bound.executor.outputs, strict=True)
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
        return {name: array.asnumpy() for name, array in self._solver.momenta.items()}

    def load_optimizer_state(self, state: Mapping[str, np.ndarray]) -> None:
        for name, array in self._solver.momenta.items():
            array[:] = state[name]

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
        self.outputs = setup.network.outputs(phase) if phase == "deploy" else []
        self.measures = list(graph.measures)
        if phase == "train" and not (graph.heads and gradients):
            raise BadNetwork("the network can't be trained: it has no loss, or no weights to learn")
        symbol = self._symbol(graph)
        shape = (setup.batch_size, *setup.network.input_shape)
        self.data = mx.nd.zeros(shape, context, dtype="uint8")
        self.label = mx.nd.zeros(shape[:1], context)
        constants = {name: mx.nd.array(value, context) for name, value in graph.constants.items()}
        known = {**weights, **constants, "data": self.data, "label": self.label}
        arguments = {name: known[name] for name in symbol.list_arguments()}
        if phase == "train":
            gradients = {**gradients, **{name: mx.nd.zeros_like(known[name]) for name in graph.backward}}
        averages = {name: weights[name] for name in symbol.list_auxiliary_states()}
        self.averages = averages if phase == "train" else {name: array.copy() for name, array in averages.items()}
        self.sums = mx.nd.zeros(len(self.measures) + 1, context)
        requests = {name: "write" if name in gradients else "null" for name in arguments}
        self.executor = symbol.bind(context, arguments, gradients, requests, self.averages)

    def _symbol(self, graph: mxnet_layers.Graph) -> mx.sym.Symbol:
        if self.outputs:
            return mx.sym.Group([graph.values[name] for name in self.outputs])
        counted = mx.sym.sum(graph.label >= 0)
        sums = [mx.sym.reshape(total, shape=(1,)) for total in (*graph.measures.values(), counted)]
        return mx.sym.Group([*graph.heads, mx.sym.BlockGrad(mx.sym.concat(*sums, dim=0))])

    def run(self, images: np.ndarray, labels: np.ndarray | None, is_train: bool) -> None:
        self.data[:] = images
        if labels is not None:
            self.label[:] = labels
        self.executor.forward(is_train=is_train)
        if labels is not None:
            mx.nd.elemwise_add(self.sums, self.executor.outputs[-1], out=self.sums)

    def scores(self) -> dict[str, float]:
        """Averages by measure since the last call."""
        *totals, count = self.sums.asnumpy().tolist()
        self.sums[:] = 0
        return {name: total / count for name, total in zip(self.measures, totals, strict=True)}


class SGD:
    """Stochastic gradient descent as in Caffe: v ← momentum·v - rate·(gradient + decay·w), w ← w + v.

    Rate and decay are each weight's own, by its multipliers. MXNet's sgd_mom_update computes the same: both keep the
    rate inside v (https://caffe.berkeleyvision.org/tutorial/solver.html), so that a change of the rate leaves the steps
    already under way alone.
    """

    def __init__(self, trained: list[Weight], weights: Arrays, momentum: float, weight_decay: float) -> None:
        self._trained = [(w.multipliers, weights[w.name], w.name) for w in trained]
        self._momentum = momentum
        self._weight_decay = weight_decay
        self.gradients = {w.name: mx.nd.zeros_like(weights[w.name]) for w in trained}
        self.momenta = {w.name: mx.nd.zeros_like(weights[w.name]) for w in trained}

    def step(self, rate: float) -> None:
        """Change the weights by one step, from the gradients."""
        # One array at a time: multi_sgd_mom_update saves calls, but takes 3 ms more for LeNet's weights.
        for multipliers, weight, name in self._trained:
            mx.nd.sgd_mom_update(
                weight,
                self.gradients[name],
                self.momenta[name],
                lr=rate * multipliers.lr_mult,
                wd=self._weight_decay * multipliers.decay_mult,
                momentum=self._momentum,
                out=weight,
            )


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


def _trained(weight: Weight) -> bool:
    return weight.learned and weight.multipliers.lr_mult != 0


def _context(device: str) -> mx.Context:
    if device == "cpu":
        return mx.cpu()
    number = int(device.removeprefix("gpu"))
    if number >= mx.context.num_gpus():
        raise BadInput(f"there is no {device}: MXNet finds {mx.context.num_gpus()} GPUs here")
    return mx.gpu(number)
