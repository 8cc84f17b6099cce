"""Builds BatchNorm and Scale from MXNet's symbols, and joins the two where a Scale alone reads a BatchNorm.

As layers of their own they take half of a ResNet's step and more.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models_app.networks import Network, Node
from models_app.networks.layers import dense
from models_app.networks.resolve import Weight
from models_app.training.engines import joined_layers
from models_app.training.engines.mxnet.compat import mx
from models_app.training.engines.mxnet.symbols import Symbol, SymbolGraph, by_channel


def joined_scales(network: Network, phase: str) -> dict[str, Node]:
    """The Scale layers that are computed within the BatchNorm that they read, by the BatchNorm's name.

    The gain must be trained, because MXNet updates the running averages in the pass that computes the gain's gradient;
    unless the averages stay as they are.
    """
    fixed = {node.layer.name for node in network.nodes(phase) if getattr(node.kind, "use_global_stats", False)}
    pairs = joined_layers.joined_scales(network, phase)
    return {name: scale for name, scale in pairs.items() if scale.weights[0].trained or name in fixed}


def batch_norm(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    kind: dense.BatchNorm = node.kind
    scale = graph.joined_scales.get(node.layer.name)
    own = node.weights[3:]
    learned: Sequence[Weight] = scale.weights if scale else own if own and own[0].trained else ()
    gain, bias = _gain_and_bias(graph, node, learned)
    normalized = mx.sym.BatchNorm(
        *inputs,
        gain,
        bias,
        *weights[:2],
        eps=kind.eps,
        momentum=kind.moving_average_fraction,
        use_global_stats=kind.use_global_stats,
        fix_gamma=not learned,
    )
    if node.layer.name in graph.mixed_layouts:
        # A copy, whose backward pass writes gradients without blocks. oneDNN then brings them into the right ones.
        normalized = mx.sym.slice_axis(normalized, axis=1, begin=0, end=None)
    if learned or not own:
        return [normalized]
    return [_scaled(normalized, weights[3:], node)]


def _gain_and_bias(graph: SymbolGraph, node: Node, learned: Sequence[Weight]) -> list[Symbol]:
    """Symbols of a gain and a bias: the learned ones, else constants (1 and 0) that change nothing."""
    size, name = node.weights[0].shape, node.layer.name
    symbols = [mx.sym.Variable(weight.name) for weight in learned]
    if not learned:
        symbols.append(graph.constant(f"{name}.ones", np.ones(size, np.float32)))
        graph.backward.append(f"{name}.ones")  # in that backward pass MXNet updates the averages
    if len(symbols) == 1:
        symbols.append(graph.constant(f"{name}.zeros", np.zeros(size, np.float32)))
    return symbols


def scale(graph: SymbolGraph, node: Node, inputs: Sequence[Symbol], weights: Sequence[Symbol]) -> list[Symbol]:
    if any(node is joined for joined in graph.joined_scales.values()):
        return list(inputs)
    return [_scaled(inputs[0], weights, node)]


def _scaled(value: Symbol, weights: Sequence[Symbol], node: Node) -> Symbol:
    """The value times the gain, plus the bias if there is one; both have one number per channel."""
    gain, *bias = (by_channel(weight, node.inputs[0]) for weight in weights)
    value = mx.sym.broadcast_mul(value, gain)
    return mx.sym.broadcast_add(value, *bias) if bias else value
