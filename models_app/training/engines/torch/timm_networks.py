"""Builds the models of timm: to compute with them, to draw their weights, and to export them."""

from __future__ import annotations

import io
import logging
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import onnx
import timm

from digits_project.common.errors import BadInput
from models_app.networks import BadNetwork, Node, TimmNetwork
from models_app.networks.export.exported_model import ExportedModel, exported_model
from models_app.networks.export.network_onnx import OPSET
from models_app.networks.timm.timm_catalogue import facts_of
from models_app.networks.timm.timm_network import StateTensor, TimmModel
from models_app.training.engines.torch.distributed.shared_modules import BATCH_NORMS, share_statistics
from models_app.training.engines.torch.operation import Operation, PhaseSettings, Tensor
from models_app.training.engines.torch.torch_library import TorchArrays, tensor_of, torch

logger = logging.getLogger("trainer")

DISTINCT = (0.5, 1.5)  # weights between these: the exporter would make one of equal ones
IMAGES, SCORES = "images", "scores"
ONE_VALUE = "Expected more than 1 value per channel"  # in PyTorch's message


def described(network: TimmNetwork) -> TimmNetwork:
    """The network with its tensors."""
    with torch.device("meta"):
        model = _built(network.model, network.categories, network.input_shape)
    learned = {name for name, _ in model.named_parameters()}
    tensors = {name: StateTensor(tuple(one.shape), name in learned) for name, one in _state(model).items()}
    return replace(network, tensors=tensors)


def drawn_weights(network: TimmNetwork, seed: int) -> dict[str, np.ndarray]:
    """The weights with which timm begins, drawn from the seed on the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = _built(network.model, network.categories, network.input_shape)
    return {name: TorchArrays().numbers(one) for name, one in _state(model).items()}


def resized_weights(network: TimmNetwork, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The weights of this model for images of another size, resampled by timm for the size of the network; without
    those that then have other shapes than the network's."""
    model = _built(network.model, network.categories, network.input_shape)
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return {}
    try:
        found = convert({name: tensor_of(array.copy()) for name, array in arrays.items()}, model)
    except (RuntimeError, ValueError, AssertionError, TypeError, AttributeError, KeyError) as error:
        logger.warning("timm can't resize the weights: %s %s", type(error).__name__, error)
        return {}
    shapes = {name: tensor.shape for name, tensor in network.tensors.items()}
    return {name: TorchArrays().numbers(one) for name, one in found.items() if shapes.get(name) == tuple(one.shape)}


def operation(node: Node, phase: PhaseSettings) -> Operation:
    """The model as an operation of a phase."""
    return TimmOperation(node, phase)


class TimmOperation:
    """A model that computes with the weights that it is given, and writes into them the statistics of batches."""

    def __init__(self, node: Node, phase: PhaseSettings) -> None:
        kind: TimmModel = node.kind
        self._names = [weight.name for weight in node.weights]
        self._model = _built(kind.model, kind.num_output, node.inputs[0]).train(phase.training)
        moving = kind.moving(node.weights)
        for name, module in self._model.named_modules():
            if isinstance(module, BATCH_NORMS) and f"{name}.running_mean" not in moving:
                module.eval()
        if phase.ranks.count > 1:
            share_statistics(self._model)
        for one in _state(self._model, detached=False).values():
            one.data = one.data.new_empty(0)  # it computes with others
        self._caching = [] if phase.training else _caching(self._model)
        self._device = torch.device("cpu")

    def __call__(self, inputs: Sequence[Tensor], weights: Sequence[Tensor]) -> Sequence[Tensor]:
        if inputs[0].device != self._device:
            self._device = inputs[0].device
            self._model.to(self._device)
        for module in self._caching:
            module.train()
            module.eval()
        given = dict(zip(self._names, weights, strict=True))
        with _refusing_one_value():
            return [torch.func.functional_call(self._model, given, (inputs[0],)).float()]


@contextmanager
def _refusing_one_value() -> Iterator[None]:
    """A context that raises BadInput if a BatchNorm can't measure its batch."""
    try:
        yield
    except ValueError as error:
        if ONE_VALUE not in str(error):
            raise
        wanted = (
            "the network normalizes by the values of a batch, and one of its layers has a single value for each channel"
        )
        raise BadInput(f"{wanted}: train with a batch_size of 2 or more") from error


def _caching(model: torch.nn.Module) -> list[torch.nn.Module]:
    """The modules that in eval mode keep what they computed from their weights, until train() is called: the attention
    of LeViT, TinyViT, EfficientFormer and EfficientViT."""
    return [module for module in model.modules() if type(module).train is not torch.nn.Module.train]


def with_graph(network: TimmNetwork) -> TimmNetwork:
    """The network with its model as a graph of ONNX, for write_onnx(). Raises BadNetwork if it can't be exported."""
    [kind] = {node.kind for node in network.nodes("deploy") if isinstance(node.kind, TimmModel)}
    return replace(network, graph=_exported(network.model, kind.num_output, network.input_shape, kind.is_headless))


@cache
def _exported(name: str, categories: int, input_shape: tuple[int, int, int], is_headless: bool) -> ExportedModel:
    model = _built(name, categories, input_shape, exportable=True).eval()
    if is_headless:
        model.reset_classifier(0)
        _check_features(model, categories, input_shape)
    state = _state(model)
    draw = torch.Generator().manual_seed(0)
    for one in state.values():
        one.uniform_(*DISTINCT, generator=draw)
    file = io.BytesIO()
    batch = {0: "N"}
    with refuse_unexportable(name), warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")  # of tracing, and that this exporter, which takes a tenth of the time, is old
        torch.onnx.export(
            model,
            (torch.zeros(2, *input_shape),),
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=[IMAGES],
            output_names=[SCORES],
            dynamic_axes={IMAGES: batch, SCORES: batch},
            do_constant_folding=False,
            training=torch.onnx.TrainingMode.PRESERVE,  # else it would join each BatchNorm with its convolution
        )
    graph = onnx.load_from_string(file.getvalue()).graph
    types = {module: type(one).__name__ for module, one in model.named_modules()}
    return exported_model(graph, list(state), types)


@contextmanager
def refuse_unexportable(name: str) -> Iterator[None]:
    """Raise BadNetwork if an operation inside the block can't be exported to ONNX."""
    try:
        yield
    except torch.onnx.errors.OnnxExporterError as error:
        reason, *_ = str(error).partition("  [")[0].splitlines()
        raise BadNetwork(f"timm's {name} can't be exported as model.onnx: {reason}; take another network") from error


def _check_features(model: torch.nn.Module, size: int, input_shape: tuple[int, int, int]) -> None:
    """Raise BadNetwork unless the model computes a row of so many numbers for each image."""
    with torch.no_grad():
        found = tuple(model(torch.zeros(1, *input_shape)).shape)
    if found != (1, size):
        raise BadNetwork(f"the model computes features of the shape {found}, not {(1, size)}; take feature_views 0")


def _built(name: str, categories: int, input_shape: Sequence[int], **options: Any) -> torch.nn.Module:
    """A model with random weights. Raises BadNetwork if timm can't build it."""
    facts = facts_of(name)
    known = facts.name  # no other name reaches timm, which would take it as a path or a repository
    channels, *size = input_shape
    if facts.is_built_for_size and size != [facts.size, facts.size]:
        options["img_size"] = tuple(size)
    try:
        return timm.create_model(known, pretrained=False, num_classes=categories, in_chans=channels, **options)
    except (RuntimeError, ValueError, AssertionError, TypeError, AttributeError, ImportError) as error:
        raise BadNetwork(f"timm can't build {known}: {type(error).__name__} {error}") from error


def _state(model: torch.nn.Module, detached: bool = True) -> dict[str, Tensor]:
    """The tensors of a model's state that are weights: counters and indices, which are whole numbers, are not. A tensor
    that several modules share, as in CoaT, has its first name only."""
    state: dict[str, Tensor] = {}
    found: set[int] = set()
    for name, one in model.state_dict(keep_vars=True).items():
        if one.is_floating_point() and id(one) not in found:
            found.add(id(one))
            state[name] = one.detach() if detached else one
    return state
