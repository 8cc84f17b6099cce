"""write_onnx writes a valid model.onnx with every weight as float32, and does not copy the weights."""

import tracemalloc

import numpy as np
import onnx
from onnx import numpy_helper

from models_app.networks import standard
from models_app.networks.export.network_onnx import write_onnx
from tests.support.samples.engine_samples import random_weights
from tests.support.samples.network_samples import chain


def test_model_onnx_passes_the_onnx_checker_and_holds_every_weight(tmp_path):
    lenet = standard("lenet", (3, 28, 28), 10)
    weights = random_weights(lenet)
    write_onnx(lenet, weights, tmp_path / "model.onnx", np.zeros((3, 1, 1)), list("0123456789"))
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
    model = onnx.load(tmp_path / "model.onnx")
    assert [value.name for value in model.graph.input] == ["data"]
    found = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert set(weights) < set(found)
    assert all((found[name] == array).all() and found[name].shape == array.shape for name, array in weights.items())


def test_weights_are_written_as_float32_in_row_major_order(tmp_path):
    network = chain(("InnerProduct", {"num_output": 2, "bias_term": False}), input_shape=(1, 1, 3))
    weights = {"innerproduct1.weight": np.arange(6, dtype=np.float64).reshape(3, 2).T}
    write_onnx(network, weights, tmp_path / "model.onnx", None, [])
    [tensor] = onnx.load(tmp_path / "model.onnx").graph.initializer
    np.testing.assert_array_equal(numpy_helper.to_array(tensor), np.array([[0, 2, 4], [1, 3, 5]], np.float32))


def test_write_onnx_does_not_copy_the_weights(tmp_path):
    network = chain(("InnerProduct", {"num_output": 50}), input_shape=(1, 200, 200))
    weights = random_weights(network)
    write_onnx(network, weights, tmp_path / "model.onnx", None, [])  # imports modules, outside of the measurement
    tracemalloc.start()
    write_onnx(network, weights, tmp_path / "model.onnx", None, [])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < weights["innerproduct1.weight"].nbytes / 8
