"""Fine-tuning: which layers of a network a training changes, and how fast.

The head is the layer that computes the scores; the backbone is all the rest. What is decided here is written into the
network's own parameters (lr_mult, use_global_stats), so every engine follows it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models_app.networks.graph import Network
from models_app.networks.layer import BadNetwork, Layer, Multipliers
from models_app.networks.retrain import scoring_layers
from models_app.networks.timm.timm_network import TimmNetwork

ALL, HEAD, BLOCKS = "all", "head", "blocks"
TRAIN_LAYERS = (ALL, HEAD, BLOCKS)

# The parts of a layer's name that say to which block it belongs, in the published networks: block3/expand, fire2/…,
# inception_4a/…; res3a_branch2b, bn3a_branch2b; conv4_2. The block of any other layer is its name, without what a
# normalization adds to that of its convolution: conv1/bn, bn_conv1.
BLOCK_NAMES = (
    re.compile(r"((?:block|fire)\d+|inception_?\d[a-z])/"),
    re.compile(r"(?:res|bn|scale)(\d[a-z])(?:_|$)"),
    re.compile(r"(conv\d)_\d"),
    re.compile(r"(?:bn_|scale_)?(.+?)(?:/bn|/scale)?$"),
)
NORMALIZATION = "BatchNorm"


@dataclass(frozen=True)
class FineTuning:
    """train_layers: "all", the "head", or the last "blocks", of which there are `trained_blocks`.

    backbone_lr_factor: the learning rate of the backbone as a fraction of the head's.
    freeze_batch_norm: whether BatchNorm keeps its averages in layers that are trained; in all others it does anyway.
    """

    train_layers: str = ALL
    trained_blocks: int = 1
    backbone_lr_factor: float = 1.0
    freeze_batch_norm: bool = False

    @property
    def keeps_averages(self) -> bool:
        """Whether some BatchNorm normalizes by averages that the training does not change, so it needs given ones."""
        return self.train_layers != ALL or self.freeze_batch_norm


def tuned(network: Network, how: FineTuning) -> Network:
    """The network whose layers are trained as `how` says. Raises BadNetwork if no layer is left to train."""
    if how == FineTuning():
        return network
    if isinstance(network, TimmNetwork):
        trained_blocks = {ALL: None, HEAD: 0}.get(how.train_layers, how.trained_blocks)
        return network.tuned(trained_blocks, how.backbone_lr_factor, how.freeze_batch_norm)
    head = {layer.name for layer in scoring_layers(network.layers)}
    trained = _trained(network, how, head)
    weights = {node.layer.name: len(node.weights) for phase in ("train", "deploy") for node in network.nodes(phase)}

    def changed(layer: Layer) -> Layer:
        factor = (1.0 if layer.name in head else how.backbone_lr_factor) if layer.name in trained else 0.0
        layer = replace(layer, multipliers=_scaled(layer.multipliers, weights.get(layer.name, 0), factor))
        if layer.type == NORMALIZATION and (how.freeze_batch_norm or not factor):
            layer = replace(layer, parameters={**layer.parameters, "use_global_stats": True})
        return layer

    return replace(network, layers=tuple(map(changed, network.layers)))


def blocks(network: Network) -> list[str]:
    """The names of the blocks with weights, in the order of computation."""
    nodes = (node for node in network.nodes("deploy") if node.weights)
    return list(dict.fromkeys(_block_of(node.layer.name) for node in nodes))


def with_plain_averages(network: Network, weights: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights where each BatchNorm that keeps its averages has them without Caffe's factor. A training reads these
    averages as they are."""
    changed = dict(weights)
    for node in network.nodes("train"):
        if node.layer.type == NORMALIZATION and node.kind.use_global_stats:
            mean, variance, factor = (weight.name for weight in node.weights[:3])
            if weights[factor][0] > 0:
                changed |= {name: weights[name] / weights[factor] for name in (mean, variance)}
                changed[factor] = np.ones(1, np.float32)
    return changed


def _trained(network: Network, how: FineTuning, head: set[str]) -> set[str]:
    """The names of the layers that are trained."""
    names = {layer.name for layer in network.layers}
    if how.train_layers == ALL:
        return names
    if not head:
        raise BadNetwork("the network has no head, a layer that computes scores, so only all layers can be trained")
    if how.train_layers == HEAD:
        return head
    body = [block for block in blocks(network) if block not in {_block_of(name) for name in head}]
    if how.trained_blocks > len(body):
        raise BadNetwork(f"the network has {len(body)} blocks before its head, not {how.trained_blocks}")
    last = set(body[len(body) - how.trained_blocks :])
    return head | {name for name in names if _block_of(name) in last}


def _block_of(layer: str) -> str:
    return next(found.group(1) for pattern in BLOCK_NAMES if (found := pattern.match(layer)))


def _scaled(multipliers: Sequence[Multipliers], count: int, factor: float) -> tuple[Multipliers, ...]:
    """The multipliers of all weights of a layer, with their learning rate scaled."""
    every = (*multipliers, *[Multipliers()] * (count - len(multipliers)))
    return tuple(replace(one, lr_mult=one.lr_mult * factor) for one in every)
