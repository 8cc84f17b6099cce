"""Builds losses and accuracies from MXNet's symbols.

The backward pass starts at the losses. The values that losses and accuracies compare are outputs, for measures.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from models_app.networks import Node
from models_app.networks.layers import data_and_losses
from models_app.training.class_weights import is_weighable
from models_app.training.engines.mxnet.compat import mx
from models_app.training.engines.mxnet.symbols import Symbol, SymbolGraph, rows


def accuracy(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    return _compared(graph, node, inputs)


def softmax_with_loss(
    graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]
) -> list[Symbol]:
    kind: data_and_losses.SoftmaxWithLoss = node.kind
    (scores, labels), (scores_shape, label_shape) = inputs, node.inputs
    if graph.soft_labels and node.reads[1] is None:
        return _soft_labels_loss(graph, node, inputs)
    places = math.prod(label_shape)  # labels per image
    if places > 1:
        scores = mx.sym.reshape(scores, shape=(-1, scores_shape[0], places))
        labels = rows(labels, label_shape)
    else:
        scores = scores if len(scores_shape) == 1 else rows(scores, scores_shape)
        labels = mx.sym.reshape(labels, shape=(-1,)) if label_shape else labels
    if graph.category_weights is not None and is_weighable(node):
        scores = _weighted(scores, mx.sym.take(graph.category_weights, mx.sym.BlockGrad(labels), mode="clip"))
    # Divisors: "batch" all labels, "null" the labels of one image, "valid" those that are not ignored.
    divide, factor = {"FULL": ("batch", 1), "BATCH_SIZE": ("batch", places), "NONE": ("null", places)}.get(
        kind.normalization, ("batch", 1) if kind.ignore_label is None else ("valid", 1)
    )
    settings = {"normalization": divide, "grad_scale": kind.loss_weight * factor, "multi_output": places > 1}
    if kind.ignore_label is not None:
        settings |= {"use_ignore": True, "ignore_label": kind.ignore_label}
    graph.heads.append(mx.sym.SoftmaxOutput(scores, labels, **settings))
    return _compared(graph, node, inputs)


def _soft_labels_loss(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol]) -> list[Symbol]:
    """Cross-entropy with labels that are shares of categories: -Σ w·y·log softmax(x), with the category weights w."""
    kind: data_and_losses.SoftmaxWithLoss = node.kind
    scores, targets = rows(inputs[0], node.inputs[0]), mx.sym.BlockGrad(inputs[1])
    if graph.category_weights is not None:
        targets = mx.sym.broadcast_mul(targets, mx.sym.expand_dims(graph.category_weights, axis=0))
    # One row an image, because MakeLoss takes the first of two axes as the batch.
    losses = -mx.sym.sum(mx.sym.log_softmax(scores, axis=1) * targets, axis=1, keepdims=True)
    divide = "null" if kind.normalization == "NONE" else "batch"  # one label an image: the others are the same
    graph.heads.append(mx.sym.MakeLoss(losses, grad_scale=kind.loss_weight, normalization=divide))
    return _compared(graph, node, inputs)


def _weighted(scores: Symbol, weights: Symbol) -> Symbol:
    """The same scores, but with a gradient that is multiplied by one weight per image. Weights of 1 change no bit.

    SoftmaxOutput takes no weights: its option out_grad multiplies the gradient by SoftmaxOutput's own output, not by
    the gradient that arrives (decision 25).
    """
    scaled = mx.sym.broadcast_mul(scores, mx.sym.expand_dims(weights, axis=1))
    return scaled + mx.sym.BlockGrad(scores - scaled)


def sigmoid_cross_entropy(
    graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]
) -> list[Symbol]:
    """log(1 + eˣ) - x·t; its gradient is sigmoid(x) - t."""
    kind: data_and_losses.SigmoidCrossEntropyLoss = node.kind
    scores, targets = rows(inputs[0], node.inputs[0]), mx.sym.BlockGrad(rows(inputs[1], node.inputs[1]))
    losses = mx.sym.Activation(scores, act_type="softrelu") - scores * targets
    if kind.ignore_label is not None:
        counted = mx.sym.BlockGrad(targets != kind.ignore_label)
        losses = losses * counted
        if kind.normalization == "VALID":
            number = mx.sym.sum(counted, axis=(0, 1), keepdims=True)
            losses = mx.sym.broadcast_div(losses, mx.sym.broadcast_maximum(number, mx.sym.ones_like(number)))
            graph.heads.append(mx.sym.MakeLoss(losses, grad_scale=kind.loss_weight))
            return _compared(graph, node, inputs)
    of_each = math.prod(node.inputs[0]) if kind.normalization in ("VALID", "FULL") else 1
    divide = "null" if kind.normalization == "NONE" else "batch"
    graph.heads.append(mx.sym.MakeLoss(losses, grad_scale=kind.loss_weight / of_each, normalization=divide))
    return _compared(graph, node, inputs)


def euclidean(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    difference = rows(inputs[0], node.inputs[0]) - rows(inputs[1], node.inputs[1])
    halves = {"grad_scale": node.kind.loss_weight / 2, "normalization": "batch"}
    graph.heads.append(mx.sym.MakeLoss(mx.sym.square(difference), **halves))
    return _compared(graph, node, inputs)


def _compared(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol]) -> list[Symbol]:
    """Make the compared values outputs, except the dataset's labels. The layer's own top is a placeholder."""
    for value, symbol in zip(node.reads, inputs, strict=True):
        if value is not None:
            graph.kept.setdefault(value, symbol)
    return list(inputs[: len(node.layer.tops)])
