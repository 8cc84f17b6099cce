"""Write a Network and its weights as model.onnx, the one file that inference needs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, checker, helper, numpy_helper

from models_app.networks.export.exported_model import ExportedModel
from models_app.networks.export.onnx_file import save_model
from models_app.networks.graph import Network
from models_app.networks.layers import data_and_losses
from models_app.networks.normalization import smallest_deviation
from models_app.networks.resolve import Node

# Old enough for every ONNX Runtime since 1.13 (2022), new enough for every operator used.
OPSET = 17
IR_VERSION = 8

ROWS_AND_COLUMNS = np.array([2, 3])  # axes of N×C×H×W
PIXELS = [1, 2, 3]


class GraphWriter:
    """Collects the nodes and constants that the layers' `onnx` methods write. Each name is used once."""

    def __init__(self, taken: Sequence[str]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.layers: list[dict[str, Any]] = []
        self._taken = set(taken)
        self._layer = ""

    def begin(self, layer: str) -> None:
        """Start a layer: the nodes written next get names that begin with its name."""
        self._layer = layer

    def end(self, node: Node, values: Mapping[str, str]) -> None:
        """Finish a layer. `values` maps its tops to the names of their values in the graph."""
        inner = {name for layer in self.layers for name in layer["weights"]}
        weights = [weight.name for weight in node.weights if weight.name not in inner]
        self.layers.append({"name": node.layer.name, "type": node.layer.type, "weights": weights, "values": values})

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        output = self._unique(f"{self._layer}/{operator}")
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, array: np.ndarray) -> str:
        name = self._unique(f"{self._layer}/constant")
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def inline(self, model: ExportedModel, inputs: Sequence[str]) -> list[str]:
        """Write the nodes and the layers of a model, with names that are free; returns the names of its outputs."""
        names = {model.input: inputs[0]}
        for array, name in model.constants:
            names[name] = self.constant(array)
        for node in model.nodes:
            copied = onnx.NodeProto()
            copied.CopyFrom(node)
            names |= {output: self._unique(output) for output in node.output}
            copied.name = self._unique(node.name)
            copied.input[:] = [names.get(name, name) for name in node.input]
            copied.output[:] = [names[name] for name in node.output]
            self.nodes.append(copied)
        for layer in model.layers:
            values = {top: names[value] for top, value in layer["values"].items()}
            self.layers.append({**layer, "values": values})
        return [names[model.output]]

    def rename(self, value: str, name: str) -> None:
        """Give a value the name that the model's users know it by."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name=self._unique(f"{name}/output")))

    def _unique(self, wanted: str) -> str:
        name, count = wanted, 1
        while name in self._taken:
            count += 1
            name = f"{wanted}_{count}"
        self._taken.add(name)
        return name


def write_onnx(
    network: Network,
    weights: Mapping[str, np.ndarray],
    path: Path,
    mean: np.ndarray | None,
    labels: Sequence[str],
    metadata: Mapping[str, str] | None = None,
    image_shape: tuple[int, int, int] | None = None,
    scale: np.ndarray | None = None,
    whitening: bool = False,
) -> None:
    """Write the deployed network to `path`.

    Input: the first top of its Data layer ("data"), float32 N×C×H×W, raw values 0 to 255, channels in RGB order, any N.
    If `image_shape` is larger than the network's input, the model takes images of that shape and crops their middle.
    `mean`, C×H×W of the input or C×1×1, is subtracted inside, and the difference is multiplied by `scale`, C×1×1. With
    `whitening` each image then loses its own mean and is divided by its own standard deviation.
    Outputs: the network's, under their names ("softmax": N×categories). `labels` (as a JSON list) and `metadata` become
    metadata_props, and so do the `layers`: a JSON list of {name, type, weights: [name], values: {top: name}}, which the
    visualizations use to find weights and activations.
    """
    nodes = network.nodes("deploy")
    outputs = network.outputs("deploy")
    names = [weight.name for node in nodes for weight in node.weights]
    inputs = [node.layer.tops[0] for node in nodes if isinstance(node.kind, data_and_losses.DataSource)]
    writer = GraphWriter([*names, *inputs, *outputs])
    image_shape = image_shape or network.input_shape
    operands = {"Sub": mean, "Mul": scale}
    whitened_shape = network.input_shape if whitening else None
    values = _write_nodes(writer, nodes, operands, _centre(image_shape, network.input_shape), whitened_shape)
    for output in outputs:
        writer.rename(values[output], output)
    shapes = network.shapes("deploy")
    # The model is checked with the weights as inputs, which need no values. Then the weights are added without a copy.
    graph = helper.make_graph(
        writer.nodes,
        network.name,
        [_value_info(name, ["N", *image_shape]) for name in inputs]
        + [_value_info(name, weights[name].shape) for name in names],
        [_value_info(name, ["N", *shapes[name]]) for name in outputs],
        initializer=writer.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
    facts = {"labels": list(labels), "layers": writer.layers}
    properties = {name: json.dumps(fact, ensure_ascii=False) for name, fact in facts.items()}
    helper.set_model_props(model, {**properties, **(metadata or {})})
    checker.check_model(model, full_check=True)
    del model.graph.input[len(inputs) :]
    save_model(model, {name: weights[name] for name in names}, path)


def _centre(image_shape: tuple[int, ...], input_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray] | None:
    """First and last (row, column) of the middle crop; None if it is the whole image."""
    if image_shape == input_shape:
        return None
    starts = np.array(data_and_losses.middle(image_shape, input_shape))
    return starts, starts + input_shape[1:]


def _write_nodes(
    writer: GraphWriter,
    nodes: Sequence[Node],
    operands: Mapping[str, np.ndarray | None],
    centre: tuple[np.ndarray, np.ndarray] | None,
    whitened_shape: tuple[int, ...] | None,
) -> dict[str, str]:
    """Write every layer. Returns {top: name of the value that it holds after the last layer}.

    `operands`: the second operand of each operator that is applied to the cropped images; None: it is left out.
    `whitened_shape`: the shape of the images if they are whitened then.
    """
    values: dict[str, str] = {}
    for node in nodes:
        writer.begin(node.layer.name)
        if isinstance(node.kind, data_and_losses.DataSource):
            data = value = node.layer.tops[0]
            if centre:
                value = writer.node("Slice", [value, *map(writer.constant, (*centre, ROWS_AND_COLUMNS))])
            for operator, operand in operands.items():
                if operand is not None:
                    value = writer.node(operator, [value, writer.constant(_batched(operand))])
            values[data] = _whitened(writer, value, whitened_shape) if whitened_shape else value
            writer.end(node, {data: values[data]})
            continue
        inputs = [values[bottom] for bottom in node.layer.bottoms]
        made = node.kind.onnx(writer, inputs, [weight.name for weight in node.weights], node.inputs)
        tops = dict(zip(node.layer.tops, made, strict=True))
        values.update(tops)
        writer.end(node, tops)
    return values


def _whitened(writer: GraphWriter, images: str, shape: tuple[int, ...]) -> str:
    """Each image minus its mean, divided by its standard deviation or, if that is less, by the smallest one."""
    centred = writer.node("Sub", [images, writer.node("ReduceMean", [images], axes=PIXELS, keepdims=1)])
    variance = writer.node("ReduceMean", [writer.node("Mul", [centred, centred])], axes=PIXELS, keepdims=1)
    smallest = writer.constant(np.array(smallest_deviation(shape), np.float32))
    return writer.node("Div", [centred, writer.node("Max", [writer.node("Sqrt", [variance]), smallest])])


def _batched(operand: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(operand[np.newaxis], dtype=np.float32)


def _value_info(name: str, shape: Sequence[int | str]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
