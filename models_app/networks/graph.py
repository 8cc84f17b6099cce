"""A network as data: its layers, checked and resolved to nodes with shapes, weights and names (resolve.py)."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from models_app.networks.fillers import fill
from models_app.networks.layer import PHASES, BadNetwork, Layer
from models_app.networks.layers import TYPES, LayerType, Shape, data_and_losses
from models_app.networks.layers.layer_type import describe
from models_app.networks.normalization import Normalization
from models_app.networks.resizing import Resizing
from models_app.networks.resolve import Node, Resolver, Weight

# model.onnx is one protobuf message, which can't pass 2 GiB; a float32 takes four bytes.
MAX_WEIGHTS = 500_000_000

MAX_NUMBERS = 1_000_000_000  # that a network computes for one image; VGG-16 has 28 million
MAX_LAYERS = 5_000  # ResNet-1001 has fewer
MAX_CONNECTIONS = 1_000  # of a layer
MAX_CONNECTIONS_TOGETHER = 40_000
MAX_NAME = 200


@dataclass(frozen=True)
class Network:
    """A network's layers in the order of computation, and the shape (channels, height, width) of its input images.

    The shape is the one after the crop of the Data layer. `label_shape` is () if labels are category numbers, else the
    shape of a generic dataset's labels. Only a layer that reads a top can write it again (in place, as Caffe's ReLU
    often does). `normalization` is the network's own, which a training applies with use_mean network; `resizing` how
    images are brought to its size, which a training applies with input_size.

    A kind of network that needs further fields is a subclass. KINDS has it by name, which its to_dict() gives as
    `kind`.
    """

    KINDS: ClassVar[dict[str, type[Network]]] = {}
    LAYER_TYPES: ClassVar[Mapping[str, type[LayerType]]] = TYPES

    name: str
    input_shape: tuple[int, int, int]
    layers: tuple[Layer, ...]
    label_shape: Shape = ()
    normalization: Normalization | None = None
    resizing: Resizing | None = None

    def nodes(self, phase: str) -> tuple[Node, ...]:
        """The layers of one phase, resolved. Raises BadNetwork with the name of the layer that is wrong."""
        if phase not in self._resolved:
            self._check_limits()
            layers = [layer for layer in self.layers if phase in layer.phases]
            shapes = (self.input_shape, self.label_shape)
            self._resolved[phase] = Resolver(layers, shapes, phase, self._nodes, self.LAYER_TYPES).run()
        return self._resolved[phase]

    @cached_property
    def _resolved(self) -> dict[str, tuple[Node, ...]]:
        """The resolved nodes of each phase, filled on first use."""
        return {}

    @cached_property
    def _nodes(self) -> dict[str, Node]:
        """Resolved nodes by layer name, shared between phases."""
        return {}

    def check(self) -> None:
        """Raise BadNetwork unless every phase can be built and the deployed network has an output."""
        for phase in PHASES:
            numbers = sum(math.prod(shape) for node in self.nodes(phase) for shape in node.outputs)
            if numbers > MAX_NUMBERS:
                wanted = f"the network would compute {numbers:,} numbers for each image"
                raise BadNetwork(f"{wanted}; at most {MAX_NUMBERS:,} are possible")
        if not self.outputs("deploy"):
            raise BadNetwork("the network has no output when it is deployed")
        self._check_weights()

    def check_trainable(self, *phases: str) -> None:
        """Raise BadNetwork unless each of the phases (train, val) has a loss and some weight can be trained.

        A network without any weights, such as one that only scales its images, passes, as in DIGITS.
        """
        for phase in phases:
            nodes, verb = self.nodes(phase), {"train": "trained", "val": "validated"}[phase]
            if not any(isinstance(node.kind, data_and_losses.Loss) for node in nodes):
                raise BadNetwork(f"the network can't be {verb}: it has no loss (a layer such as SoftmaxWithLoss)")
            weights = [weight for node in nodes for weight in node.weights]
            if phase == "train" and weights and not any(weight.trained for weight in weights):
                raise BadNetwork("the network can't be trained: every weight is fixed (lr_mult 0)")

    def check_categories(self, categories: int) -> None:
        """Raise BadNetwork if a softmax loss gets fewer scores than there are categories; more are allowed."""
        for node in (node for phase in ("train", "val") for node in self.nodes(phase)):
            if isinstance(node.kind, data_and_losses.SoftmaxWithLoss):
                scores = node.inputs[0][node.kind.axis - 1]
                if scores < categories:
                    raise BadNetwork(self._too_few(node, scores, categories))

    def _too_few(self, loss: Node, scores: int, categories: int) -> str:
        """The error message; it names the layer whose num_output is the number of scores, if there is one."""
        makers = {node.layer.name: node for phase in ("train", "val") for node in self.nodes(phase)}
        maker: Node | None = loss
        while maker is not None and "num_output" not in maker.layer.parameters:
            only = maker.reads[:1] if maker is loss or len(maker.reads) == 1 else ()
            maker = makers[only[0][0]] if only and only[0] else None
        if maker is None or maker.layer.parameters["num_output"] != scores:
            return f"layer {loss.layer.name}: it gets {scores} scores, but the dataset has {categories} categories"
        leave_out = ", or leave it out" if maker.layer.type == "InnerProduct" else ""
        return (
            f"layer {maker.layer.name}: num_output is {scores}, but the dataset has {categories} categories; "
            f"make it {categories}{leave_out}"
        )

    def check_fresh(self, layers: Container[str] | None = None) -> None:
        """Raise BadNetwork if one of `layers` (None: all) can't start without weights from a file."""
        for node in self.nodes("train"):
            if getattr(node.kind, "use_global_stats", False) and (layers is None or node.layer.name in layers):
                raise BadNetwork(
                    f"layer {node.layer.name}: use_global_stats: true fixes its running averages while training, "
                    "and they start at zero, because there are no weights for this layer. Take use_global_stats "
                    "out of the layer, or start from a snapshot that has it"
                )

    def _check_limits(self) -> None:
        """Raise BadNetwork if the network is too large; a cheap check before anything is resolved."""
        for what, shape in (("input", self.input_shape), ("label", self.label_shape)):
            if any(not isinstance(size, int) or size < 1 for size in shape):
                raise BadNetwork(f"the {what} must have a size, not {shape}")
        if len(self.layers) > MAX_LAYERS:
            raise BadNetwork(f"the network has {len(self.layers):,} layers; at most {MAX_LAYERS:,} are possible")
        connections = sum(len(layer.bottoms) + len(layer.tops) for layer in self.layers)
        if connections > MAX_CONNECTIONS_TOGETHER:
            raise BadNetwork(
                f"the network's layers have {connections:,} inputs and outputs; "
                f"at most {MAX_CONNECTIONS_TOGETHER:,} are possible"
            )
        for layer in self.layers:
            if len(layer.bottoms) + len(layer.tops) > MAX_CONNECTIONS:
                raise BadNetwork(f"layer {layer.name}: at most {MAX_CONNECTIONS:,} inputs and outputs are possible")
            for name in (layer.name, *layer.tops):
                if not (isinstance(name, str) and name.isprintable() and 0 < len(name) <= MAX_NAME):
                    raise BadNetwork(f"{name!r:.99} can't be a name: it must be 1 to {MAX_NAME} printable characters")

    def _check_weights(self) -> None:
        known: dict[str, Shape] = {}
        for weight in (weight for phase in PHASES for node in self.nodes(phase) for weight in node.weights):
            if known.setdefault(weight.name, weight.shape) != weight.shape:
                shapes = f"{describe(known[weight.name])} in one phase and {describe(weight.shape)} in another"
                raise BadNetwork(f"layer {weight.layer}: its {weight.spec.role} would be {shapes}")
        total = sum(math.prod(shape) for shape in known.values())
        if total > MAX_WEIGHTS:
            largest = max(self.weights(), key=lambda weight: math.prod(weight.shape))
            raise BadNetwork(
                f"layer {largest.layer}: the network would have {total:,} weights, "
                f"{math.prod(largest.shape):,} of them in this layer; at most {MAX_WEIGHTS:,} are possible"
            )

    def shapes(self, phase: str = "deploy") -> dict[str, Shape]:
        """The shape of every top, without the batch axis."""
        return {
            top: shape for node in self.nodes(phase) for top, shape in zip(node.layer.tops, node.outputs, strict=True)
        }

    def outputs(self, phase: str = "deploy") -> list[str]:
        """The outputs of a phase: the tops that no layer reads, in order. Tops of Data and Input are not outputs."""
        unread: dict[str, None] = {}
        for node in self.nodes(phase):
            for bottom in node.layer.bottoms:
                unread.pop(bottom, None)
            if not isinstance(node.kind, data_and_losses.DataSource):
                unread |= dict.fromkeys(node.layer.tops)
        return list(unread)

    def weights(self) -> list[Weight]:
        """The weights of all phases, each once."""
        return list({w.name: w for phase in PHASES for node in self.nodes(phase) for w in node.weights}.values())

    def initial_weights(self, seed: int) -> dict[str, np.ndarray]:
        """Initial float32 weights by name. They depend on the seed alone, so they are the same on every engine."""
        return {weight.name: fill(weight.name, weight.shape, weight.spec.filler, seed) for weight in self.weights()}

    def parameter_count(self) -> int:
        """The number of learned numbers, trained or not."""
        return sum(math.prod(weight.shape) for weight in self.weights() if weight.learned)

    def to_dict(self) -> dict[str, Any]:
        """The network as JSON values; from_dict gives an equal network back."""
        layers = [layer.to_dict() for layer in self.layers]
        shapes = {"input_shape": list(self.input_shape), "label_shape": list(self.label_shape)}
        own = {"normalization": self.normalization, "resizing": self.resizing}
        facts = {name: fact.to_dict() for name, fact in own.items() if fact}
        return {"name": self.name, **shapes, **facts, "layers": layers}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Network:
        """A network of the kind that the data name. Raises BadNetwork if a field is missing or of the wrong type; call
        check() for the rest."""
        try:
            kind = cls.KINDS[data["kind"]] if "kind" in data else Network
            return kind(**kind._fields_of(data))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadNetwork(f"this is not a network: {type(error).__name__} {error}") from error

    @classmethod
    def _fields_of(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        """The values of the fields that to_dict() wrote. A subclass adds its own."""
        channels, height, width = data["input_shape"]
        own, resized = data.get("normalization"), data.get("resizing")
        return {
            "name": data["name"],
            "input_shape": (channels, height, width),
            "layers": tuple(Layer.from_dict(layer) for layer in data["layers"]),
            "label_shape": tuple(data.get("label_shape", ())),
            "normalization": Normalization.from_dict(own) if own else None,
            "resizing": Resizing.from_dict(resized) if resized else None,
        }


def parameter_count(network: Network) -> int:
    """The number of trained parameters."""
    return network.parameter_count()
