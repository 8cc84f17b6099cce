"""Builds each layer type of models_app/networks/layers from PyTorch's functions."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

from models_app.networks import Node
from models_app.networks.layers import dense, elementwise, joining, shaping, vision
from models_app.networks.layers.layer_type import axis_of
from models_app.networks.timm.timm_network import LAYER_TYPE
from models_app.training.engines.torch import channel_windows, loss_operations, normalization_operations
from models_app.training.engines.torch.operation import Build, Operation, PhaseSettings, Tensor, by_channel
from models_app.training.engines.torch.torch_library import torch

functional = torch.nn.functional
TIMM_NETWORKS = "models_app.training.engines.torch.timm_networks"


def convolution(node: Node, phase: PhaseSettings) -> Operation:
    kind: vision.Convolution = node.kind
    before, after = kind.pads(node.inputs[0])
    settings = {"stride": kind.stride, "dilation": kind.dilation, "groups": kind.group}
    if before == after:
        return lambda inputs, weights: [functional.conv2d(*inputs, *weights, padding=before, **settings)]
    sides = (before[1], after[1], before[0], after[0])
    return lambda inputs, weights: [functional.conv2d(functional.pad(inputs[0], sides), *weights, **settings)]


def deconvolution(node: Node, phase: PhaseSettings) -> Operation:
    kind: vision.Deconvolution = node.kind
    settings = {"stride": kind.stride, "padding": kind.pad, "dilation": kind.dilation, "groups": kind.group}
    return lambda inputs, weights: [functional.conv_transpose2d(*inputs, *weights, **settings)]


def pooling(node: Node, phase: PhaseSettings) -> Operation:
    """Pooling, with PyTorch's ceil_mode, which has Caffe's rule for the last window.

    A pad of more than half the window, which PyTorch refuses, is put around the image before.
    """
    kind: vision.Pooling = node.kind
    if kind.global_pooling:
        kernel = node.inputs[0][1:]
        return _pool(kind.pool, {"kernel_size": kernel})
    settings: dict[str, Any] = {"kernel_size": kind.kernel_size, "stride": kind.stride}
    settings["ceil_mode"] = kind.round_mode == "CEIL"
    if all(2 * pad <= size for pad, size in zip(kind.pad, kind.kernel_size, strict=True)):
        return _pool(kind.pool, {**settings, "padding": kind.pad})
    pool, (rows, columns) = _pool(kind.pool, settings), node.outputs[0][1:]
    sides, filled = (kind.pad[1], kind.pad[1], kind.pad[0], kind.pad[0]), -math.inf if kind.pool == "MAX" else 0.0

    def padded(inputs, weights):
        [pooled] = pool([functional.pad(inputs[0], sides, value=filled)], weights)
        return [pooled[:, :, :rows, :columns]]

    return padded


def _pool(pool: str, settings: dict[str, Any]) -> Operation:
    if pool == "MAX":
        return lambda inputs, weights: [functional.max_pool2d(*inputs, **settings)]
    return lambda inputs, weights: [functional.avg_pool2d(*inputs, count_include_pad=True, **settings)]


def lrn(node: Node, phase: PhaseSettings) -> Operation:
    kind: vision.LRN = node.kind
    if not kind.within:
        factor = kind.alpha / kind.local_size
        return lambda inputs, weights: [
            channel_windows.normalize(inputs[0], kind.local_size, factor, kind.beta, kind.k)
        ]
    (kernel, pad), alpha, beta = kind.window, kind.alpha, kind.beta

    def within(inputs, weights):
        value = inputs[0].float()
        averages = functional.avg_pool2d(value.square(), kernel, stride=1, padding=pad, count_include_pad=True)
        return [value * (1 + alpha * averages) ** -beta]

    return within


def inner_product(node: Node, phase: PhaseSettings) -> Operation:
    kind: dense.InnerProduct = node.kind
    lead = node.outputs[0][:-1]
    size = math.prod(node.inputs[0][len(lead) :])

    def multiply(inputs, weights):
        matrix, *bias = weights
        matrix = matrix.t() if kind.transpose else matrix
        return [functional.linear(inputs[0].reshape(-1, *lead, size), matrix, *bias)]

    return multiply


def relu(node: Node, phase: PhaseSettings) -> Operation:
    slope = node.kind.negative_slope
    if slope:
        return _of_one(lambda value: functional.leaky_relu(value, slope))
    return _of_one(functional.relu)


def clip(node: Node, phase: PhaseSettings) -> Operation:
    least, most = node.kind.min, node.kind.max
    return _of_one(lambda value: value.clamp(least, most))


def prelu(node: Node, phase: PhaseSettings) -> Operation:
    return lambda inputs, weights: [functional.prelu(*inputs, *weights)]


def elu(node: Node, phase: PhaseSettings) -> Operation:
    alpha = node.kind.alpha
    return _of_one(lambda value: functional.elu(value, alpha))


def exp(node: Node, phase: PhaseSettings) -> Operation:
    scale, shift = node.kind.exponent
    return _of_one(lambda value: _linear(value, scale, shift).exp())


def log(node: Node, phase: PhaseSettings) -> Operation:
    kind: elementwise.Log = node.kind
    return _of_one(lambda value: _linear(_linear(value, kind.scale, kind.shift).log(), kind.factor, 0))


def power(node: Node, phase: PhaseSettings) -> Operation:
    kind: elementwise.Power = node.kind
    if kind.power == 1:
        return _of_one(lambda value: _linear(value, kind.scale, kind.shift))
    return _of_one(lambda value: _linear(value, kind.scale, kind.shift) ** kind.power)


def _linear(value: Tensor, scale: float, shift: float) -> Tensor:
    value = value * scale if scale != 1 else value
    return value + shift if shift != 0 else value


def dropout(node: Node, phase: PhaseSettings) -> Operation:
    if not phase.training:
        return _of_one(lambda value: value)
    ratio = node.kind.dropout_ratio
    # Contiguous, because the random numbers are drawn in the order of the memory.
    return _of_one(lambda value: functional.dropout(value.contiguous(), ratio))


def bias(node: Node, phase: PhaseSettings) -> Operation:
    return lambda inputs, weights: [inputs[0] + by_channel(weights[0], node.inputs[0])]


def concat(node: Node, phase: PhaseSettings) -> Operation:
    axis = axis_of(node.kind.axis, node.inputs[0]) + 1
    return lambda inputs, weights: [torch.cat(list(inputs), axis)]


def eltwise(node: Node, phase: PhaseSettings) -> Operation:
    kind: joining.Eltwise = node.kind
    combine = {"SUM": torch.add, "PROD": torch.mul, "MAX": torch.maximum}[kind.operation]

    def combined(inputs, weights):
        first, *others = (
            [value * factor for value, factor in zip(inputs, kind.coeff, strict=True)] if kind.coeff else inputs
        )
        for other in others:
            first = combine(first, other)
        return [first]

    return combined


def split(node: Node, phase: PhaseSettings) -> Operation:
    copies = len(node.layer.tops)
    return lambda inputs, weights: list(inputs) * copies


def silence(node: Node, phase: PhaseSettings) -> Operation:
    return lambda inputs, weights: []


def cut(node: Node, phase: PhaseSettings) -> Operation:
    kind: joining.Slice = node.kind
    axis = axis_of(kind.axis, node.inputs[0]) + 1
    sizes = [end - begin for begin, end in kind.cuts(node.inputs[0])]
    return lambda inputs, weights: torch.split(inputs[0], sizes, axis)


def crop(node: Node, phase: PhaseSettings) -> Operation:
    kind: shaping.Crop = node.kind
    cuts = kind.cuts(node.inputs)

    def cropped(inputs, weights):
        value = inputs[0]
        for axis, (begin, end) in cuts.items():
            value = value.narrow(axis, begin, end - begin)
        return [value]

    return cropped


def reshape(node: Node, phase: PhaseSettings) -> Operation:
    shape = node.outputs[0]
    return _of_one(lambda value: value.reshape(-1, *shape))


def softmax(node: Node, phase: PhaseSettings) -> Operation:
    axis = axis_of(node.kind.axis, node.inputs[0]) + 1
    return _of_one(lambda value: value.float().softmax(axis))


def timm_model(node: Node, phase: PhaseSettings) -> Operation:
    """A whole model of timm, which takes seconds to import."""
    found: Operation = importlib.import_module(TIMM_NETWORKS).operation(node, phase)
    return found


def _of_one(function: Callable[[Tensor], Tensor]) -> Operation:
    """An operation without weights on one input."""
    return lambda inputs, weights: [function(inputs[0])]


def elementary(function: Callable[[Tensor], Tensor]) -> Build:
    """The builder of a layer type that has no parameters and is one function."""
    return lambda node, phase: _of_one(function)


OPERATIONS: dict[str, Build] = {
    "AbsVal": elementary(torch.abs),
    "BatchNorm": normalization_operations.batch_norm,
    "Bias": bias,
    "Clip": clip,
    "Concat": concat,
    "Convolution": convolution,
    "Crop": crop,
    "Deconvolution": deconvolution,
    "Dropout": dropout,
    "ELU": elu,
    "Eltwise": eltwise,
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
    "Scale": normalization_operations.scale,
    "Sigmoid": elementary(torch.sigmoid),
    "Silence": silence,
    "Slice": cut,
    "Softmax": softmax,
    "Split": split,
    "TanH": elementary(torch.tanh),
    LAYER_TYPE: timm_model,
    **loss_operations.CRITERIA,
}
