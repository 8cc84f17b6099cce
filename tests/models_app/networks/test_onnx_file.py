"""model.onnx as a file: what other programs read, and what writing it costs."""

import tracemalloc

import numpy as np
import onnx
from onnx import numpy_helper

from models_app.networks import standard
from models_app.networks.export.network_onnx import write_onnx
from tests.support.samples.engine_samples import random_weights
from tests.support.samples.network_samples import chain


def test_onnx_itself_finds_the_file_whole_and_every_weight_in_it(tmp_path):
    lenet = standard("lenet", (3, 28, 28), 10)
    weights = random_weights(lenet)
    write_onnx(lenet, weights, tmp_path / "model.onnx", np.zeros((3, 1, 1)), list("0123456789"))
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
    model = onnx.load(tmp_path / "model.onnx")
    assert [taken.name for taken in model.graph.input] == ["data"]
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert set(weights) < set(found)
    assert all((found[name] == array).all() and found[name].shape == array.shape for name, array in weights.items())


def test_weights_are_written_as_float32_in_the_order_of_their_axes(tmp_path):
    network = chain(("InnerProduct", {"num_output": 2, "bias_term": False}), input_shape=(1, 1, 3))
    weights = {"innerproduct1.weight": np.arange(6, dtype=np.float64).reshape(3, 2).T}
    write_onnx(network, weights, tmp_path / "model.onnx", None, [])
    [tensor] = onnx.load(tmp_path / "model.onnx").graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), np.array([[0, 2, 4], [1, 3, 5]], np.float32))


def test_weights_are_not_copied_on_their_way_to_the_file(tmp_path):
    network = chain(("InnerProduct", {"num_output": 50}), input_shape=(1, 200, 200))
    weights = random_weights(network)
    write_onnx(network, weights, tmp_path / "model.onnx", None, [])  # what is loaded once
    tracemalloc.start()
    write_onnx(network, weights, tmp_path / "model.onnx", None, [])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < weights["innerproduct1.weight"].nbytes / 8
