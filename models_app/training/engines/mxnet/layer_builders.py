"""Builds each layer type of models_app/networks/layers from MXNet's symbols."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from models_app.networks import Network, Node
from models_app.networks.layers import Shape, data_and_losses, dense, elementwise, joining, shaping, vision
from models_app.networks.layers.layer_type import axis_of
from models_app.networks.normalization import smallest_deviation
from models_app.training.engines.mxnet import loss_builders, memory_layouts, normalization_builders
from models_app.training.engines.mxnet.compat import mx
from models_app.training.engines.mxnet.symbols import Build, Symbol, SymbolGraph, by_channel


def build(
    network: Network,
    phase: str,
    mean: np.ndarray | None,
    scale: np.ndarray | None = None,
    category_weights: Sequence[float] | None = None,
    soft_labels: bool = False,
    whitening: bool = False,
) -> SymbolGraph:
    """Build a phase as symbols. Its images are uint8; mean and scale are those of EngineConfig. With category_weights
    the losses weight images by category; with soft_labels, labels are shares of categories."""
    mixed = memory_layouts.mixed_layouts(network) if phase == "train" else set()
    graph = SymbolGraph(joined_scales=normalization_builders.joined_scales(network, phase), mixed_layouts=mixed)
    graph.soft_labels = soft_labels
    if category_weights is not None:
        graph.category_weights = graph.constant("category_weights", np.array(category_weights, np.float32))
    for node in network.nodes(phase):
        inputs = [graph.values[bottom] for bottom in node.layer.bottoms]
        weights = [mx.sym.Variable(weight.name) for weight in node.weights]
        if isinstance(node.kind, data_and_losses.DataSource):
            tops = [_input(graph, mean, scale, node.outputs[0] if whitening else None), graph.label][
                : len(node.layer.tops)
            ]
        else:
            tops = BUILDERS[node.layer.type](graph, node, inputs, weights)
        graph.values.update(zip(node.layer.tops, tops, strict=True))
    return graph


def _input(
    graph: SymbolGraph, mean: np.ndarray | None, scale: np.ndarray | None, whitened_shape: Shape | None
) -> Symbol:
    """The normalized images; also whitened, if the shape of an image is given for that."""
    images = mx.sym.Cast(graph.images, dtype="float32")
    if mean is not None:
        images = mx.sym.broadcast_sub(images, graph.constant("mean", mean[np.newaxis]))
    if scale is not None:
        images = mx.sym.broadcast_mul(images, graph.constant("scale", scale[np.newaxis]))
    return _whitened(images, smallest_deviation(whitened_shape)) if whitened_shape else images


def _whitened(images: Symbol, smallest: float) -> Symbol:
    """Each image minus its mean, divided by its standard deviation or, if that is less, by the smallest one."""
    pixels = {"axis": (1, 2, 3), "keepdims": True}
    images = mx.sym.broadcast_sub(images, mx.sym.mean(images, **pixels))
    deviation = mx.sym.sqrt(mx.sym.mean(mx.sym.square(images), **pixels))
    return mx.sym.broadcast_div(images, mx.sym.maximum(deviation, smallest))


def convolution(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    """A convolution. MXNet pads all sides alike, so where more is needed after than before, a whole stride more is put
    on both sides, and the first row or column of the output is cut off: a third faster than padding the input."""
    kind: vision.Convolution = node.kind
    sides = list(zip(*kind.pads(node.inputs[0]), kind.stride, strict=True))
    pads = tuple(before if after == before else before + stride for before, after, stride in sides)
    value = mx.sym.Convolution(*inputs, *weights, name=node.layer.name, **_filters(node) | {"pad": pads})
    for axis, (pad, (before, _, _)) in enumerate(zip(pads, sides, strict=True), start=2):
        if pad != before:
            value = mx.sym.slice_axis(value, axis=axis, begin=1, end=node.outputs[0][axis - 1] + 1)
    return [value]


def deconvolution(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.Deconvolution(*inputs, *weights, name=node.layer.name, **_filters(node))]


def _filters(node: Node) -> dict[str, object]:
    kind: vision.Filters = node.kind
    windows = {"kernel": kind.kernel_size, "stride": kind.stride, "pad": kind.pad, "dilate": kind.dilation}
    return {**windows, "num_filter": kind.num_output, "num_group": kind.group, "no_bias": not kind.bias_term}


def pooling(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: vision.Pooling = node.kind
    pool_type = {"MAX": "max", "AVE": "avg"}[kind.pool]
    if kind.global_pooling:
        return [mx.sym.Pooling(*inputs, global_pool=True, pool_type=pool_type, kernel=(1, 1))]
    # "full" rounds up but lacks Caffe's rule for the last window, so that window is cut off here.
    convention = "full" if max(kind.beyond(node.inputs[0])) > 0 else "valid"
    windows = {"kernel": kind.kernel_size, "stride": kind.stride, "pad": kind.pad}
    pooled = mx.sym.Pooling(*inputs, pool_type=pool_type, pooling_convention=convention, **windows)
    for axis, beyond in enumerate(kind.beyond(node.inputs[0]), start=2):
        if convention == "full" and beyond < 0:
            pooled = mx.sym.slice_axis(pooled, axis=axis, begin=0, end=node.outputs[0][axis - 1])
    return [pooled]


def lrn(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: vision.LRN = node.kind
    if not kind.within:
        return [mx.sym.LRN(*inputs, nsize=kind.local_size, alpha=kind.alpha, beta=kind.beta, knorm=kind.k)]
    kernel, pad = kind.window
    averages = mx.sym.Pooling(mx.sym.square(*inputs), kernel=kernel, pad=pad, pool_type="avg")
    return [inputs[0] * (1 + kind.alpha * averages) ** -kind.beta]


def inner_product(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: dense.InnerProduct = node.kind
    value, (matrix, *bias), lead = inputs[0], weights, node.outputs[0][:-1]
    if lead:
        value = mx.sym.reshape(value, shape=(-1, *lead, math.prod(node.inputs[0][len(lead) :])))
    if kind.transpose:
        matrix = mx.sym.transpose(matrix)
    settings = {"num_hidden": kind.num_output, "no_bias": not kind.bias_term, "flatten": not lead}
    return [mx.sym.FullyConnected(value, matrix, *bias, **settings)]


def relu(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    if node.kind.negative_slope:
        return [mx.sym.LeakyReLU(*inputs, act_type="leaky", slope=node.kind.negative_slope)]
    return [mx.sym.Activation(*inputs, act_type="relu")]


def clip(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    """Clip from two operators: the values of mx.sym.clip, in a fifth of its time on the CPU.

    Gradients differ from those of mx.sym.clip only at 0, as those of every ReLU here.
    """
    least, most = node.kind.min, node.kind.max
    above = mx.sym.Activation(inputs[0], act_type="relu") if least == 0 else mx.sym.maximum(inputs[0], least)
    return [mx.sym.minimum(above, most)]


def prelu(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    """PReLU from other operators, because MXNet's prelu computes a wrong gradient of the slopes."""
    below = mx.sym.broadcast_mul(mx.sym.relu(-inputs[0]), by_channel(weights[0], node.inputs[0]))
    return [mx.sym.relu(inputs[0]) - below]


def elu(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.LeakyReLU(*inputs, act_type="elu", slope=node.kind.alpha)]


def sigmoid(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.sigmoid(*inputs)]


def tanh(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.tanh(*inputs)]


def absolute(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.abs(*inputs)]


def exp(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.exp(_linear(inputs[0], *node.kind.exponent))]


def log(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: elementwise.Log = node.kind
    return [_linear(mx.sym.log(_linear(inputs[0], kind.scale, kind.shift)), kind.factor, 0)]


def power(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: elementwise.Power = node.kind
    value = _linear(inputs[0], kind.scale, kind.shift)
    return [value**kind.power if kind.power != 1 else value]


def _linear(value: Symbol, scale: float, shift: float) -> Symbol:
    value = value * scale if scale != 1 else value
    return value + shift if shift != 0 else value


def dropout(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.Dropout(*inputs, p=node.kind.dropout_ratio)]


def bias(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.broadcast_add(inputs[0], by_channel(weights[0], node.inputs[0]))]


def concat(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.concat(*inputs, dim=axis_of(node.kind.axis, node.inputs[0]) + 1)]


def eltwise(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: joining.Eltwise = node.kind
    terms = [term * factor for term, factor in zip(inputs, kind.coeff, strict=True)] if kind.coeff else list(inputs)
    combine = {"SUM": mx.sym.elemwise_add, "PROD": mx.sym.elemwise_mul, "MAX": mx.sym.maximum}[kind.operation]
    value = terms[0]
    for term in terms[1:]:
        value = combine(value, term)
    return [value]


def split(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return list(inputs) * len(node.layer.tops)


def silence(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return []


def cut(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: joining.Slice = node.kind
    axis = axis_of(kind.axis, node.inputs[0]) + 1
    return [mx.sym.slice_axis(*inputs, axis=axis, begin=begin, end=end) for begin, end in kind.cuts(node.inputs[0])]


def crop(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: shaping.Crop = node.kind
    value = inputs[0]
    for axis, (begin, end) in kind.cuts(node.inputs).items():
        value = mx.sym.slice_axis(value, axis=axis, begin=begin, end=end)
    return [value]


def reshape(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.reshape(*inputs, shape=(-1, *node.outputs[0]))]


def softmax(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return [mx.sym.softmax(*inputs, axis=axis_of(node.kind.axis, node.inputs[0]) + 1)]


BUILDERS: dict[str, Build] = {
    "AbsVal": absolute,
    "Accuracy": loss_builders.accuracy,
    "BatchNorm": normalization_builders.batch_norm,
    "Bias": bias,
    "Clip": clip,
    "Concat": concat,
    "Convolution": convolution,
    "Crop": crop,
    "Deconvolution": deconvolution,
    "Dropout": dropout,
    "ELU": elu,
    "Eltwise": eltwise,
    "EuclideanLoss": loss_builders.euclidean,
    "Exp": exp,
    "Flatten": reshape,
    "InnerProduct": inner_product,
    "LRN": lrn,
    "Log": log,
    "PReLU": prelu,
    "Pooling": pooling,
    "Power": power,
    "ReLU": relu,
    "Reshape": reshape,
    "Scale": normalization_builders.scale,
    "Sigmoid": sigmoid,
    "SigmoidCrossEntropyLoss": loss_builders.sigmoid_cross_entropy,
    "Silence": silence,
    "Slice": cut,
    "Softmax": softmax,
    "SoftmaxWithLoss": loss_builders.softmax_with_loss,
    "Split": split,
    "TanH": tanh,
}
