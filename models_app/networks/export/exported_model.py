"""A model that another library exported to ONNX, as a part of a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

SCOPES = "/"  # separates the modules in the name of a node


@dataclass(frozen=True)
class ExportedModel:
    """The nodes of a model with one input and one output, and the layers of which it consists.

    constants: the arrays that are no weights, with their names. layers: as in write_onnx(), of each module that has
    weights of its own or of which a node computes the output.
    """

    nodes: Sequence[onnx.NodeProto]
    constants: Sequence[tuple[np.ndarray, str]]
    input: str
    output: str
    layers: Sequence[Mapping[str, Any]]


def exported_model(graph: onnx.GraphProto, weights: Sequence[str], types: Mapping[str, str]) -> ExportedModel:
    """The model of a graph whose initializers are the weights, under their names, and constants. The name of a node
    begins with its modules, as in /stages/stages.0/conv/Conv.

    types: the type of each module by its name.
    """
    known = set(weights)
    constants = [(numpy_helper.to_array(one), one.name) for one in graph.initializer if one.name not in known]
    values: dict[str, str] = {}
    for node in graph.node:
        for module in _modules_of(node.name):
            values[module] = node.output[0]
    of_modules: dict[str, list[str]] = {}
    for name in weights:
        of_modules.setdefault(name.rpartition(".")[0] or name, []).append(name)
    layers = [
        {
            "name": module,
            "type": types.get(module, "Parameter"),
            "weights": own,
            "values": {module: values[module]} if module in values else {},
        }
        for module, own in of_modules.items()
    ]
    return ExportedModel(list(graph.node), constants, graph.input[0].name, graph.output[0].name, layers)


def _modules_of(node: str) -> list[str]:
    """The names of the modules in which a node lies, the outermost first: of /stages/stages.0/conv/Conv these are
    stages, stages.0 and stages.0.conv. A part that begins with the one before it is a member of a list."""
    parts: list[str] = []
    found: list[str] = []
    for scope in node.split(SCOPES)[1:-1]:
        if parts and scope.startswith(f"{parts[-1]}."):
            parts[-1] = scope
        else:
            parts.append(scope)
        found.append(".".join(parts))
    return found
