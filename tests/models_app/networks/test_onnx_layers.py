"""model.onnx computes the same outputs as the engine, for each layer type."""

import json

import numpy as np
import onnxruntime
import pytest

from models_app.networks import Layer, standard
from models_app.networks.export.network_onnx import write_onnx
from models_app.networks.layers import TYPES
from models_app.networks.layers.data_and_losses import Criterion, DataSource
from tests.support.samples.engine_samples import engine_of, random_images, random_weights
from tests.support.samples.network_samples import chain, network

pytestmark = pytest.mark.usefixtures("engine_name")

SCALED = ("Power", {"scale": 0.01})
NEGATIVE = ("Power", {"scale": 0.01, "shift": -1.2})

SAMPLES = {
    "Convolution": chain(SCALED, ("Convolution", {"num_output": 5, "kernel_size": [3, 2]})),
    "Convolution with stride, pad, dilation": chain(
        SCALED, ("Convolution", {"num_output": 5, "kernel_size": 3, "stride": 2, "pad": [2, 1], "dilation": 2})
    ),
    "Convolution in groups without bias": chain(
        SCALED, ("Convolution", {"num_output": 6, "kernel_size": 3, "group": 3, "bias_term": False})
    ),
    "Convolution padded as in TensorFlow": chain(
        SCALED,
        ("Convolution", {"num_output": 5, "kernel_size": [3, 5], "stride": [2, 1], "pad_mode": "SAME"}),
        ("Convolution", {"num_output": 5, "kernel_size": [5, 2], "stride": 2, "dilation": [1, 2], "pad_mode": "SAME"}),
        ("Convolution", {"num_output": 2, "kernel_size": 4, "stride": [1, 5], "pad_mode": "SAME"}),
    ),
    "Deconvolution": chain(SCALED, ("Deconvolution", {"num_output": 5, "kernel_size": [3, 2]})),
    "Deconvolution with stride, pad, dilation": chain(
        SCALED, ("Deconvolution", {"num_output": 4, "kernel_size": 3, "stride": [2, 3], "pad": [1, 2], "dilation": 2})
    ),
    "Deconvolution in groups without bias": chain(
        SCALED, ("Deconvolution", {"num_output": 6, "kernel_size": 4, "stride": 2, "group": 3, "bias_term": False})
    ),
    "Pooling MAX": chain(SCALED, ("Pooling", {"kernel_size": 3, "stride": 2})),
    "Pooling MAX with pad": chain(SCALED, ("Pooling", {"kernel_size": 3, "stride": 2, "pad": 1})),
    "Pooling MAX without the last window": chain(SCALED, ("Pooling", {"kernel_size": 2, "stride": 3, "pad": 1})),
    "Pooling AVE": chain(SCALED, ("Pooling", {"pool": "AVE", "kernel_size": 3, "stride": 2})),
    "Pooling AVE with pad": chain(SCALED, ("Pooling", {"pool": "AVE", "kernel_size": 3, "stride": 2, "pad": 1})),
    "Pooling AVE on an odd size": chain(
        SCALED, ("Pooling", {"pool": "AVE", "kernel_size": 2, "stride": 2, "pad": 1}), input_shape=(2, 7, 6)
    ),
    "Pooling MAX with a last row but no last column": chain(
        SCALED, ("Pooling", {"kernel_size": [3, 2], "stride": [2, 3], "pad": [0, 1]})
    ),
    "Pooling MAX rounded down": chain(SCALED, ("Pooling", {"kernel_size": 3, "stride": 2, "round_mode": "FLOOR"})),
    "Pooling AVE rounded down with pad": chain(
        SCALED,
        ("Pooling", {"pool": "AVE", "kernel_size": 2, "stride": 2, "pad": 1, "round_mode": "FLOOR"}),
        input_shape=(2, 7, 6),
    ),
    "Pooling AVE of everything": chain(SCALED, ("Pooling", {"pool": "AVE", "global_pooling": True})),
    "Pooling MAX of everything": chain(SCALED, ("Pooling", {"global_pooling": True})),
    "LRN": chain(SCALED, ("LRN", {"local_size": 3, "alpha": 0.3, "beta": 0.75, "k": 2.0}), input_shape=(7, 4, 4)),
    "LRN within channels": chain(
        SCALED, ("LRN", {"local_size": 3, "alpha": 0.3, "norm_region": "WITHIN_CHANNEL"}), input_shape=(2, 6, 5)
    ),
    "InnerProduct": chain(SCALED, ("InnerProduct", {"num_output": 5})),
    "InnerProduct without bias": chain(SCALED, ("InnerProduct", {"num_output": 5, "bias_term": False})),
    "InnerProduct of rows": chain(SCALED, ("InnerProduct", {"num_output": 5, "axis": -1})),
    "InnerProduct of channels without bias": chain(
        SCALED, ("InnerProduct", {"num_output": 5, "axis": 2, "bias_term": False})
    ),
    "InnerProduct transposed": chain(SCALED, ("InnerProduct", {"num_output": 5, "transpose": True})),
    "InnerProduct of rows transposed": chain(SCALED, ("InnerProduct", {"num_output": 5, "axis": 3, "transpose": True})),
    "PReLU": chain(NEGATIVE, ("PReLU", {})),
    "PReLU of one slope": chain(NEGATIVE, ("PReLU", {"channel_shared": True})),
    "PReLU of features": chain(SCALED, ("InnerProduct", {"num_output": 5}), ("Power", {"shift": -4}), ("PReLU", {})),
    "ELU": chain(NEGATIVE, ("ELU", {"alpha": 0.7})),
    "Sigmoid": chain(NEGATIVE, ("Sigmoid", {})),
    "TanH": chain(NEGATIVE, ("TanH", {})),
    "AbsVal": chain(NEGATIVE, ("AbsVal", {})),
    "Exp": chain(NEGATIVE, ("Exp", {"base": 2, "scale": 0.5, "shift": 0.1})),
    "Exp of e": chain(NEGATIVE, ("Exp", {})),
    "Log": chain(SCALED, ("Log", {"base": 10, "scale": 2, "shift": 0.5})),
    "Log of e": chain(("Power", {"scale": 0.01, "shift": 1}), ("Log", {})),
    "ReLU": chain(("Power", {"scale": 0.01, "shift": -1.0}), ("ReLU", {})),
    "ReLU with a slope": chain(("Power", {"scale": 0.01, "shift": -1.0}), ("ReLU", {"negative_slope": 0.1})),
    "Clip": chain(SCALED, ("Clip", {"min": 0.5, "max": 2})),
    "Power": chain(("Power", {"scale": 0.01, "shift": 0.5, "power": 1.5})),
    "Dropout": chain(SCALED, ("Dropout", {"dropout_ratio": 0.5})),
    "BatchNorm": chain(SCALED, ("BatchNorm", {"eps": 0.001})),
    "BatchNorm with a gain and a bias": chain(SCALED, ("BatchNorm", {"scale_bias": True})),
    "BatchNorm of features": chain(SCALED, ("InnerProduct", {"num_output": 5}), ("BatchNorm", {})),
    "Scale": chain(SCALED, ("Scale", {"bias_term": True})),
    "Bias": chain(SCALED, ("Bias", {})),
    "Bias of features": chain(SCALED, ("InnerProduct", {"num_output": 5}), ("Bias", {})),
    "Scale of features": chain(SCALED, ("InnerProduct", {"num_output": 5}), ("Scale", {})),
    "Flatten": chain(SCALED, ("Flatten", {})),
    "Flatten of height and width": chain(SCALED, ("Flatten", {"axis": -2})),
    "Flatten of channels and height": chain(SCALED, ("Flatten", {"end_axis": 2})),
    "Reshape": chain(SCALED, ("Reshape", {"shape": [0, -1, 4, 0]})),
    "Reshape of the last axis": chain(SCALED, ("Reshape", {"shape": [2, -1], "axis": -2})),
    "Reshape to a row": chain(SCALED, ("Reshape", {"shape": [-1, 192]})),
    "Reshape of one axis": chain(SCALED, ("Reshape", {"shape": [4, 2], "axis": 2, "num_axes": 1})),
    "Softmax": chain(SCALED, ("InnerProduct", {"num_output": 5}), ("Softmax", {})),
    "Softmax of an image": chain(SCALED, ("Softmax", {})),
    "Softmax along rows": chain(SCALED, ("Softmax", {"axis": -1})),
}

BRANCHES = (
    Layer("a", "Power", ("data",), ("a",), {"scale": 0.01}),
    Layer("b", "Convolution", ("a",), ("b",), {"num_output": 3, "kernel_size": 1}),
)
JOINED = {
    "Concat of channels": ("Concat", {}),
    "Concat of rows": ("Concat", {"axis": 2}),
    "Concat of columns": ("Concat", {"axis": -1}),
    "Eltwise SUM": ("Eltwise", {}),
    "Eltwise SUM with coeff": ("Eltwise", {"coeff": [1.0, -0.5]}),
    "Eltwise PROD": ("Eltwise", {"operation": "PROD"}),
    "Eltwise MAX": ("Eltwise", {"operation": "MAX"}),
}
SAMPLES |= {name: network(*BRANCHES, Layer("c", kind, ("a", "b"), ("c",), p)) for name, (kind, p) in JOINED.items()}
SMALL = Layer("small", "Pooling", ("a",), ("small",), {"kernel_size": [3, 4]})
SAMPLES |= {
    "Crop": network(*BRANCHES, SMALL, Layer("c", "Crop", ("b", "small"), ("c",), {"offset": [2, 1]})),
    "Crop of columns": network(
        BRANCHES[0],
        Layer("left", "Pooling", ("a",), ("left",), {"kernel_size": [1, 4]}),
        Layer("c", "Crop", ("a", "left"), ("c",), {"axis": -1, "offset": [3]}),
    ),
    "Slice": network(BRANCHES[0], Layer("c", "Slice", ("a",), ("x", "y"), {"slice_point": [1]})),
    "Slice into equal parts": network(BRANCHES[0], Layer("c", "Slice", ("a",), tuple("wxyz"), {"axis": -2})),
    "Split and Silence": network(
        BRANCHES[0], Layer("c", "Split", ("a",), ("x", "y")), Layer("d", "Silence", ("y",)), BRANCHES[1]
    ),
    "In place": network(
        Layer("first", "Convolution", ("data",), ("a",), {"num_output": 4, "kernel_size": 1}),
        *(
            Layer(f"{number}", kind, ("a",), ("a",), parameters)
            for number, (kind, parameters) in enumerate(
                [
                    ("Power", {"scale": 0.01, "shift": -0.7}),
                    ("BatchNorm", {}),
                    ("Scale", {}),
                    ("Bias", {}),
                    ("PReLU", {}),
                    ("ELU", {}),
                    ("Dropout", {}),
                    ("TanH", {}),
                    ("AbsVal", {}),
                    ("Exp", {}),
                    ("Log", {}),
                    ("Sigmoid", {}),
                    ("ReLU", {}),
                    ("Clip", {"min": 0, "max": 9}),
                    ("LRN", {}),
                    ("Softmax", {}),
                ]
            )
        ),
    ),
}
SAMPLES["LeNet"] = standard("lenet", (1, 28, 28), 10)


def onnx_outputs(path, images):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # more would spin between runs, on cores that other tests use
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"data": images.astype(np.float32)}), strict=True))


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_onnx_runtime_and_the_engine_compute_equal_outputs(sample, tmp_path):
    weights, images = random_weights(sample), random_images(sample, 3)
    engine = engine_of(sample)
    engine.load_weights(weights)
    engine.export(tmp_path / "model.onnx", engine.weights(), [], {}, sample.input_shape)
    expected, got = engine.forward(images), onnx_outputs(tmp_path / "model.onnx", images)
    assert list(expected) == list(got) == sample.outputs()
    for name, shape in sample.shapes().items():
        assert name not in got or got[name].shape == (3, *shape)
    for name in got:
        assert np.ptp(expected[name]) > 1e-3
        np.testing.assert_allclose(got[name], expected[name], atol=1e-4, rtol=1e-4)


def test_every_computing_layer_type_has_a_sample():
    computing = {name for name, kind in TYPES.items() if not issubclass(kind, DataSource)}
    measuring = {name for name, kind in TYPES.items() if issubclass(kind, Criterion)}
    assert {node.layer.type for sample in SAMPLES.values() for node in sample.nodes("deploy")} >= computing - measuring


@pytest.mark.parametrize("mean_shape", [(3, 8, 8), (3, 1, 1)], ids=["image", "pixel"])
def test_the_mean_is_subtracted_inside_the_model(mean_shape, tmp_path):
    sample = chain(("Power", {"scale": 0.01}))
    mean = np.random.default_rng(1).uniform(0, 255, mean_shape).astype(np.float32)
    images = random_images(sample, 2)
    write_onnx(sample, {}, tmp_path / "model.onnx", mean, [])
    got = onnx_outputs(tmp_path / "model.onnx", images)["power1"]
    np.testing.assert_allclose(got, (images - mean) * 0.01, atol=1e-5)
    np.testing.assert_allclose(engine_of(sample, mean=mean).forward(images)["power1"], got, atol=1e-5)


def test_a_model_takes_any_batch_size_and_holds_labels_and_layers_as_metadata(tmp_path):
    lenet = standard("lenet", (1, 28, 28), 3)
    labels = ["cat", "dog", 'naïve, "quoted"']
    write_onnx(lenet, random_weights(lenet), tmp_path / "model.onnx", None, labels, {"epoch": "2"})
    assert onnx_outputs(tmp_path / "model.onnx", random_images(lenet, 7))["softmax"].shape == (7, 3)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    assert session.get_inputs()[0].shape == ["N", 1, 28, 28]
    properties = session.get_modelmeta().custom_metadata_map
    assert (properties["epoch"], properties["labels"]) == ("2", '["cat", "dog", "naïve, \\"quoted\\""]')
    conv1 = next(layer for layer in json.loads(properties["layers"]) if layer["name"] == "conv1")
    assert (conv1["type"], conv1["weights"]) == ("Convolution", ["conv1.weight", "conv1.bias"])
    assert conv1["values"] == {"conv1": "conv1/Conv"}


def caffe_average_pool(image, kernel, stride, pad, size):
    """AVE pooling of a square image as Caffe defines it: a window's sum, divided by the number of its pixels inside the
    padded image."""
    padded = np.pad(image, pad)
    windows = [[padded[y : y + kernel, x : x + kernel] for x in range(0, size * stride, stride)]
               for y in range(0, size * stride, stride)]  # fmt: skip
    return np.array([[window.sum() / window.size for window in row] for row in windows])


@pytest.mark.parametrize("pad, size", [(0, 4), (1, 5)])
def test_average_pooling_divides_as_caffe_does(pad, size):
    sample = chain(("Pooling", {"pool": "AVE", "kernel_size": 3, "stride": 2, "pad": pad}), input_shape=(1, 8, 8))
    images = random_images(sample, 1)
    expected = caffe_average_pool(images[0, 0], 3, 2, pad, size)
    np.testing.assert_allclose(engine_of(sample).forward(images)["pooling1"][0, 0], expected, rtol=1e-5)
