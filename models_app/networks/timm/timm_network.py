"""A classifier of the timm library as data. The engine that has timm builds it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from models_app.networks.graph import Network
from models_app.networks.layer import BadNetwork, Layer, Multipliers
from models_app.networks.layers import TYPES, LayerType, Shape, WeightSpec
from models_app.networks.layers.layer_type import OnnxGraph
from models_app.networks.resolve import Node, Weight
from models_app.networks.timm.timm_catalogue import PREFIX, TimmFacts, facts_of

LAYER_TYPE = "timm"  # of the layer that is the model; an engine that has timm lists it among its layer types
OWN_FIELDS = ("model", "trained_blocks", "backbone_lr_factor")  # of a TimmNetwork, besides its tensors
LABELLED = ("train", "val")
LEAST_KEPT = 4  # a training keeps one in so many values or more, where the catalogue does not say how many
IMAGES, SCORES = "data", "scores"  # tops: what the model reads, and what it computes

# The part of a tensor's name that says to which block it belongs: stages.0.blocks.1, layer4.1, s4.b1, blocks.6.0 …
BLOCK = re.compile(r"((?:(?:stages?|blocks?|layers?|levels?|features|network|s|b)_?\d*\.(?:\d+\.)*)+)")

# The same in networks where BLOCK finds no more than one: coat, the encoders of language models, pit, tresnet,
# Inception and its ResNets, densenet, dpn, nasnet and rdnet.
OTHER_BLOCK = re.compile(
    r"((?:(?:serial|parallel)_blocks\d*|encoder\.blocks|transformers\.\d+\.blocks|body\.layer\d+|repeat(?:_\d+)?)\.\d+\.|"
    r"features\.(?:denseblock\d+\.denselayer\d+|conv[2-5]_\d+)\.|(?:[mM]ixed_\d[a-z]|block8)\.|"
    r"(?:reduction_)?cell_(?:stem_)?\d+\.|dense_stages\.\d+\.\d+\.dense_block\d+\.)"
)


class StateTensor(NamedTuple):
    """A tensor of a model's state. A statistic (learned false) is measured in training, as in WeightSpec."""

    shape: Shape
    learned: bool = True


@dataclass(frozen=True)
class TimmModel(LayerType, abstract=True):
    """A model of timm as a layer: it computes from the images one score for each category. No prototxt can name it.

    is_headless: whether it lacks its head, and computes the features that this reads instead of scores.
    freeze_batch_norm: whether its BatchNorms keep their averages where they are trained; in the rest they do anyway.
    graph: the model in ONNX as the engine exported it, which is no parameter; see GraphWriter.inline.
    """

    model: str
    num_output: int
    is_headless: bool = False
    freeze_batch_norm: bool = False
    graph: Any = field(default=None, compare=False, repr=False)

    def moving(self, weights: Sequence[Weight]) -> list[str]:
        """The names of the statistics among these weights that a training changes."""
        if self.freeze_batch_norm:
            return []
        return [weight.name for weight in weights if not weight.learned and weight.multipliers.lr_mult]

    def shapes(self, bottoms: Sequence[Shape]) -> list[Shape]:
        return [(self.num_output,)]

    def onnx(self, graph: OnnxGraph, inputs: list[str], weights: list[str], shapes: Sequence[Shape]) -> list[str]:
        return graph.inline(self.graph, inputs)


@dataclass(frozen=True)
class TimmNetwork(Network):
    """A classifier of timm: a network of which one layer is a whole model of that library.

    model: timm's name for it, such as "convnext_atto".
    tensors: its weights by the names of its state dictionary, in that order; empty until an engine has built it.
    trained_blocks: the model's last blocks, which are trained besides its head; None: all of it.
    backbone_lr_factor: the learning rate of everything but the head, as a fraction of the head's.
    graph: see TimmModel.
    """

    model: str = ""
    tensors: Mapping[str, StateTensor] = field(default_factory=dict)
    trained_blocks: int | None = None
    backbone_lr_factor: float = 1.0
    graph: Any = field(default=None, compare=False, repr=False)

    LAYER_TYPES = {**TYPES, LAYER_TYPE: TimmModel}

    @cached_property
    def facts(self) -> TimmFacts:
        """What the catalogue says of the model. Raises BadNetwork for an unknown one."""
        return facts_of(self.model)

    @property
    def categories(self) -> int:
        """The number of scores."""
        return next(int(layer.parameters["num_output"]) for layer in self.layers if layer.type == LAYER_TYPE)

    def nodes(self, phase: str) -> tuple[Node, ...]:
        if phase not in self._complete:
            self._complete[phase] = tuple(map(self._completed, super().nodes(phase)))
        return self._complete[phase]

    def _completed(self, node: Node) -> Node:
        if not isinstance(node.kind, TimmModel):
            return node
        return replace(node, weights=self._weights, kind=replace(node.kind, graph=self.graph))

    def check(self) -> None:
        _, height, width = self.input_shape
        if not self.facts.takes(height, width):
            own = self.facts.size
            raise BadNetwork(
                f"{PREFIX}{self.model} takes images of {self.facts.sizes()}, not {width}×{height}; its own size is "
                f"{own}×{own}"
            )
        super().check()

    def check_trainable(self, *phases: str) -> None:
        super().check_trainable(*phases)
        if (wanted := self.trained_blocks) and wanted > self.facts.blocks:
            others = "" if self.facts.blocks > 1 else "; take train_layers head or all"
            raise BadNetwork(f"the network has {self.facts.blocks} blocks before its head, not {wanted}{others}")

    def parameter_count(self) -> int:
        if self.tensors:
            return super().parameter_count()
        return self.facts.parameters + self.facts.per_category * self.categories

    def kept_values(self) -> int:
        """As networks.kept_values.kept_values(). Of a model of which only a part is trained it is not known."""
        return (
            round((self.facts.kept or self.facts.values // LEAST_KEPT) * self.area)
            if self.trained_blocks is None
            else 0
        )

    @property
    def area(self) -> float:
        """The area of its images as a multiple of those that the model was designed for."""
        _, height, width = self.input_shape
        return height * width / self.facts.size**2

    def initial_weights(self, seed: int) -> dict[str, np.ndarray]:
        raise NotImplementedError("the engine that builds the model draws its weights")

    def with_categories(self, categories: int) -> TimmNetwork:
        """The same model with that many scores."""
        return replace(self, layers=_changed(self.layers, num_output=categories), tensors={})

    def tuned(self, trained_blocks: int | None, backbone_lr_factor: float, freeze_batch_norm: bool) -> TimmNetwork:
        """The network of which that is trained; see the fields, and TimmModel."""
        layers = _changed(self.layers, freeze_batch_norm=freeze_batch_norm)
        return replace(self, layers=layers, trained_blocks=trained_blocks, backbone_lr_factor=backbone_lr_factor)

    def with_tensors(self, shapes: Mapping[str, Shape]) -> TimmNetwork:
        """The network with the tensors of a file, and as many scores as its head has; a file without one has none of
        the head's tensors. Raises BadNetwork for a file of another model."""
        if missing := [name for name in self.facts.tensors if name not in shapes]:
            raise BadNetwork(f"there is no tensor {missing[0]}, so these are not the weights of {self.name} in timm")
        heads = [shape[0] for name, shape in shapes.items() if self.is_head(name) and len(shape) > 1]
        changed = self.with_categories(heads[0] if heads else self.categories)
        return replace(changed, tensors={name: StateTensor(shape) for name, shape in shapes.items()})

    def without_head(self, features: str) -> TimmNetwork:
        """The model that computes the features of images, the top of that name, and changes nothing in a training.
        Raises BadNetwork if its head is not one linear layer on them."""
        size = self.facts.features
        if not size:
            raise BadNetwork(f"the head of {self.name} is more than one linear layer, so there are no features to keep")
        parameters = {"model": self.model, "num_output": size, "is_headless": True}
        layers = (
            Layer("data", "Data", (), (IMAGES,)),
            Layer("model", LAYER_TYPE, (IMAGES,), (features,), parameters),
        )
        tensors = {name: tensor for name, tensor in self.tensors.items() if not self.is_head(name)}
        return replace(self, layers=layers, label_shape=(), tensors=tensors, trained_blocks=0, graph=None)

    def head_alone(self, features: str) -> Network:
        """The head as a network whose images are the features, one row each: the same weights, losses and scores."""
        [name], size = self.facts.classifier, self.facts.features
        rows = f"{features}/row"
        multipliers = (Multipliers(1.0, 1.0), Multipliers(1.0, 0.0))
        layers = (
            Layer("data", "Data", (), (features, "label")),
            Layer(rows, "Reshape", (features,), (rows,), {"shape": [0, size]}),
            Layer(name, "InnerProduct", (rows,), (SCORES,), {"num_output": self.categories}, multipliers=multipliers),
            *(layer for layer in self.layers if layer.type not in ("Data", LAYER_TYPE)),
        )
        return Network(self.name, (1, 1, size), layers)

    def with_shapes(self, shapes: Mapping[str, Shape]) -> TimmNetwork:
        """The same model with these tensors in other shapes, as it has them for images of another size."""
        other = {name: self.tensors[name]._replace(shape=shape) for name, shape in shapes.items()}
        return replace(self, tensors={**self.tensors, **other})

    def is_head(self, name: str) -> bool:
        """Whether a tensor or a module belongs to the head, which computes the scores."""
        return any(name == module or name.startswith(f"{module}.") for module in self.facts.classifier)

    def rate_of(self, name: str) -> float:
        """The factor on the learning rate of a tensor; 0: it is not trained."""
        if self.is_head(name):
            return 1.0
        if self.trained_blocks is None:
            return self.backbone_lr_factor
        last = self._block_numbers.get(name, -1) >= self.facts.blocks - self.trained_blocks
        return self.backbone_lr_factor if last and self.trained_blocks else 0.0

    @cached_property
    def _complete(self) -> dict[str, tuple[Node, ...]]:
        """The nodes of each phase with the weights of the model, filled on first use."""
        return {}

    @cached_property
    def _weights(self) -> tuple[Weight, ...]:
        return tuple(self._weight(name, tensor) for name, tensor in self.tensors.items())

    def _weight(self, name: str, tensor: StateTensor) -> Weight:
        """Weights of one axis, biases and gains, do not decay, as in timm's own trainings."""
        decay = 1.0 if len(tensor.shape) > 1 else 0.0
        spec = WeightSpec(name.rpartition(".")[2], tensor.shape, {}, tensor.learned)
        return Weight(name, spec, Multipliers(self.rate_of(name), decay))

    @cached_property
    def _block_numbers(self) -> dict[str, int]:
        return block_numbers([name for name in self.tensors if not self.is_head(name)])

    def to_dict(self) -> dict[str, Any]:
        tensors = {name: [list(tensor.shape), tensor.learned] for name, tensor in self.tensors.items()}
        own = {name: getattr(self, name) for name in OWN_FIELDS}
        return {"kind": LAYER_TYPE, **super().to_dict(), **own, "tensors": tensors}

    @classmethod
    def _fields_of(cls, data: Mapping[str, Any]) -> dict[str, Any]:
        own = {name: data[name] for name in OWN_FIELDS}
        tensors = {name: StateTensor(tuple(shape), learned) for name, (shape, learned) in data["tensors"].items()}
        return {**super()._fields_of(data), **own, "tensors": tensors}


Network.KINDS[LAYER_TYPE] = TimmNetwork


def timm_network(
    model: str, input_shape: tuple[int, int, int], categories: int, crop_size: int = 0, mirror: bool = True
) -> TimmNetwork:
    """A network of timm for images of that shape (crop_size, mirror: see Data). Raises BadNetwork."""
    facts = facts_of(model)
    feed = {name: value for name, value in {"crop_size": crop_size, "mirror": mirror}.items() if value}
    layers = (
        Layer("data", "Data", (), (IMAGES, "label"), feed),
        Layer("model", LAYER_TYPE, (IMAGES,), (SCORES,), {"model": model, "num_output": categories}),
        Layer("loss", "SoftmaxWithLoss", (SCORES, "label"), ("loss",), phases=LABELLED),
        Layer("accuracy", "Accuracy", (SCORES, "label"), ("accuracy",), phases=LABELLED),
        Layer("softmax", "Softmax", (SCORES,), ("softmax",), phases=("deploy",)),
    )
    own = facts.normalization.for_channels(input_shape[0])
    return TimmNetwork(PREFIX + model, input_shape, layers, (), own, facts.resizing, model)


def block_numbers(tensors: Sequence[str]) -> dict[str, int]:
    """The number of the block of each tensor, in the order of the state dictionary; -1 before the first block. What
    stands between two blocks belongs to the one before it."""
    return max((_numbered(tensors, BLOCK), _numbered(tensors, OTHER_BLOCK)), key=_are_several)


def _are_several(numbers: Mapping[str, int]) -> bool:
    return max(numbers.values(), default=-1) > 0


def _numbered(tensors: Sequence[str], block: re.Pattern[str]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    blocks: dict[str, int] = {}
    last = -1
    for name in tensors:
        found = block.match(name)
        if found and any(map(str.isdigit, found[1])):
            last = blocks.setdefault(found[1], len(blocks))
        numbers[name] = last
    return numbers


def _changed(layers: Sequence[Layer], **parameters: Any) -> tuple[Layer, ...]:
    """The layers with other parameters of the model."""
    return tuple(
        replace(layer, parameters={**layer.parameters, **parameters}) if layer.type == LAYER_TYPE else layer
        for layer in layers
    )
