"""How each layer type is said in MXNet's symbols: the engine's half of models_app/networks/layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from models_app.networks import Network, Node
from models_app.networks.layers import dense, ends, joining, vision
from models_app.training.engines.mxnet_compat import mx

Symbol = mx.sym.Symbol


@dataclass
class Graph:
    """One phase of a network as symbols, while it is being built and after.

    `heads` are what backward begins at; `scores` is what gets compared with labels, by top; `constants` are inputs that
    never change, and `backward` those whose gradient must be asked for, so that backward comes by their layer.
    """

    images: Symbol = field(default_factory=lambda: mx.sym.Variable("data"))
    label: Symbol = field(default_factory=lambda: mx.sym.Variable("label"))
    values: dict[str, Symbol] = field(default_factory=dict)
    heads: list[Symbol] = field(default_factory=list)
    scores: dict[str, Symbol] = field(default_factory=dict)
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    backward: list[str] = field(default_factory=list)

    def constant(self, name: str, value: np.ndarray) -> Symbol:
        self.constants[name] = value
        return mx.sym.Variable(name)


Build = Callable[[Graph, Node, Sequence[Symbol], Sequence[Symbol]], list[Symbol]]


def build(network: Network, phase: str, mean: np.ndarray | None) -> Graph:
    """The phase as symbols. Its images are uint8."""
    graph = Graph()
    for node in network.nodes(phase):
        inputs = [graph.values[bottom] for bottom in node.layer.bottoms]
        weights = [mx.sym.Variable(weight.name) for weight in node.weights]
        if isinstance(node.kind, ends.Source):
            tops = [_centred(graph, mean), graph.label][: len(node.layer.tops)]
        else:
            tops = BUILDERS[node.layer.type](graph, node, inputs, weights)
        graph.values.update(zip(node.layer.tops, tops, strict=True))
    return graph


def _centred(graph: Graph, mean: np.ndarray | None) -> Symbol:
    images = mx.sym.Cast(graph.images, dtype="float32")
    if mean is None:
        return images
    return mx.sym.broadcast_sub(images, graph.constant("data.mean", mean[np.newaxis]))


def convolution(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: vision.Convolution = node.kind
    windows = {"kernel": kind.kernel_size, "stride": kind.stride, "pad": kind.pad, "dilate": kind.dilation}
    sizes = {"num_filter": kind.num_output, "num_group": kind.group, "no_bias": not kind.bias_term}
    return [mx.sym.Convolution(*inputs, *weights, name=node.layer.name, **windows, **sizes)]


def pooling(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: vision.Pooling = node.kind
    pool_type = {"MAX": "max", "AVE": "avg"}[kind.pool]
    if kind.global_pooling:
        return [mx.sym.Pooling(*inputs, global_pool=True, pool_type=pool_type, kernel=(1, 1))]
    # "full" rounds up, without Caffe's rule for the last window: what that leaves out is cut off.
    convention = "full" if max(kind.beyond(node.inputs[0])) > 0 else "valid"
    windows = {"kernel": kind.kernel_size, "stride": kind.stride, "pad": kind.pad}
    pooled = mx.sym.Pooling(*inputs, pool_type=pool_type, pooling_convention=convention, **windows)
    for axis, beyond in enumerate(kind.beyond(node.inputs[0]), start=2):
        if convention == "full" and beyond < 0:
            pooled = mx.sym.slice_axis(pooled, axis=axis, begin=0, end=node.outputs[0][axis - 1])
    return [pooled]


def lrn(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: vision.LRN = node.kind
    return [mx.sym.LRN(*inputs, nsize=kind.local_size, alpha=kind.alpha, beta=kind.beta, knorm=kind.k)]


def inner_product(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: dense.InnerProduct = node.kind
    return [mx.sym.FullyConnected(*inputs, *weights, num_hidden=kind.num_output, no_bias=not kind.bias_term)]


def relu(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    if node.kind.negative_slope:
        return [mx.sym.LeakyReLU(*inputs, act_type="leaky", slope=node.kind.negative_slope)]
    return [mx.sym.Activation(*inputs, act_type="relu")]


def clip(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.clip(*inputs, a_min=node.kind.min, a_max=node.kind.max)]


def power(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: dense.Power = node.kind
    value = inputs[0]
    value = value * kind.scale if kind.scale != 1 else value
    value = value + kind.shift if kind.shift != 0 else value
    return [value**kind.power if kind.power != 1 else value]


def dropout(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.Dropout(*inputs, p=node.kind.dropout_ratio)]


def batch_norm(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: dense.BatchNorm = node.kind
    size = node.weights[0].shape
    gain = graph.constant(f"{node.layer.name}.gain", np.ones(size, np.float32))
    bias = graph.constant(f"{node.layer.name}.bias", np.zeros(size, np.float32))
    graph.backward.append(gain.name)  # there MXNet moves the averages on
    mean, variance, _ = weights
    return [
        mx.sym.BatchNorm(
            *inputs,
            gain,
            bias,
            mean,
            variance,
            eps=kind.eps,
            momentum=kind.moving_average_fraction,
            use_global_stats=kind.use_global_stats,
        )
    ]


def scale(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    by_channel = (1, -1, *[1] * (len(node.inputs[0]) - 1))
    value = mx.sym.broadcast_mul(inputs[0], mx.sym.reshape(weights[0], shape=by_channel))
    if node.kind.bias_term:
        value = mx.sym.broadcast_add(value, mx.sym.reshape(weights[1], shape=by_channel))
    return [value]


def concat(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.concat(*inputs, dim=node.kind.axis)]


def eltwise(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: joining.Eltwise = node.kind
    terms = [term * factor for term, factor in zip(inputs, kind.coeff, strict=True)] if kind.coeff else list(inputs)
    combine = {"SUM": mx.sym.elemwise_add, "PROD": mx.sym.elemwise_mul, "MAX": mx.sym.maximum}[kind.operation]
    value = terms[0]
    for term in terms[1:]:
        value = combine(value, term)
    return [value]


def flatten(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.Flatten(*inputs)]


def softmax(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.softmax(*inputs, axis=1)]


def softmax_with_loss(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    """The gradient is averaged over the batch."""
    settings = {"normalization": "batch", "use_ignore": True, "ignore_label": -1, "grad_scale": node.kind.loss_weight}
    graph.heads.append(mx.sym.SoftmaxOutput(_scores(graph, node, inputs), inputs[1], **settings))
    return graph.heads[-1:][: len(node.layer.tops)]


def accuracy(graph: Graph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [_scores(graph, node, inputs)][: len(node.layer.tops)]


def _scores(graph: Graph, node: Node, inputs: Sequence[Symbol]) -> Symbol:
    """What is compared with the labels, N×categories, also where it is images of 1×1; kept for measures.py to judge."""
    scores = inputs[0] if len(node.inputs[0]) == 1 else mx.sym.Flatten(inputs[0])
    graph.scores.setdefault(node.layer.bottoms[0], scores)
    return scores


BUILDERS: dict[str, Build] = {
    "Accuracy": accuracy,
    "BatchNorm": batch_norm,
    "Clip": clip,
    "Concat": concat,
    "Convolution": convolution,
    "Dropout": dropout,
    "Eltwise": eltwise,
    "Flatten": flatten,
    "InnerProduct": inner_product,
    "LRN": lrn,
    "Pooling": pooling,
    "Power": power,
    "ReLU": relu,
    "Scale": scale,
    "Softmax": softmax,
    "SoftmaxWithLoss": softmax_with_loss,
}
