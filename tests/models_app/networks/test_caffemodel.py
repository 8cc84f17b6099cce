"""read_weights: which arrays of a .caffemodel become which weights, and which files are refused."""

import contextlib
import random

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from digits_project.common.onnx_runtime import open_session
from models_app.networks import Layer, standard
from models_app.networks.caffemodel import read_weights
from models_app.networks.export.network_onnx import write_onnx
from tests.support.samples.digits_job_samples import (
    double_blob,
    integer,
    layer_message,
    message,
    old_blob,
    old_layer_message,
    unpacked_blob,
    weights_blob,
)
from tests.support.samples.network_samples import network

RANDOM = np.random.default_rng(5)


def numbers(*shape):
    return RANDOM.normal(size=shape).astype(np.float32)


def gray(*layers):
    """A network of these layers for one-channel images, so that no weights are reordered from BGR to RGB."""
    return network(*layers, input_shape=(1, 8, 8))


def outputs_of(net, weights, images, folder):
    """The outputs of the network, computed by ONNX Runtime."""
    write_onnx(net, weights, folder / "model.onnx", None, [])
    outputs = net.outputs("deploy")
    return dict(zip(outputs, open_session(folder / "model.onnx", 1).run(outputs, {"data": images}), strict=True))


CONVOLUTION = Layer("conv", "Convolution", ("data",), ("conv",), {"num_output": 4, "kernel_size": 3})
INNER = Layer("ip", "InnerProduct", ("conv",), ("ip",), {"num_output": 5})


@pytest.fixture
def write_caffemodel(tmp_path):
    """A function that writes messages of layers to a .caffemodel and returns its path."""

    def write(*parts):
        path = tmp_path / "weights.caffemodel"
        path.write_bytes(message(1, b"a network") + b"".join(parts))
        return path

    return write


@pytest.mark.parametrize("write_layer", [layer_message, old_layer_message])
@pytest.mark.parametrize("write_blob", [weights_blob, old_blob, double_blob, unpacked_blob])
def test_weights_get_the_names_and_shapes_of_the_network(write_caffemodel, write_layer, write_blob):
    expected = {
        "conv.weight": numbers(4, 1, 3, 3),
        "conv.bias": numbers(4),
        "ip.weight": numbers(5, 144),
        "ip.bias": numbers(5),
    }
    conv, ip = list(expected.values())[:2], list(expected.values())[2:]
    path = write_caffemodel(write_layer("conv", *map(write_blob, conv)), write_layer("ip", *map(write_blob, ip)))
    found = read_weights(path, gray(CONVOLUTION, INNER))
    assert list(found) == list(expected)
    for name, array in expected.items():
        assert found[name].dtype == np.float32
        assert np.array_equal(found[name], array)


def test_the_three_arrays_of_a_batch_norm_become_mean_variance_and_factor(write_caffemodel):
    norm = Layer("norm", "BatchNorm", ("data",), ("norm",))
    arrays = [numbers(1), numbers(1), np.array([999.98], np.float32)]
    found = read_weights(write_caffemodel(layer_message("norm", *map(weights_blob, arrays))), gray(norm))
    assert [(name, float(array[0])) for name, array in found.items()] == [
        ("norm.mean", arrays[0][0]),
        ("norm.variance", arrays[1][0]),
        ("norm.factor", arrays[2][0]),
    ]


def test_filters_of_three_colours_are_summed_up_for_gray_images(write_caffemodel):
    filters = numbers(4, 3, 3, 3)
    path = write_caffemodel(layer_message("conv", weights_blob(filters), weights_blob(numbers(4))))
    found = read_weights(path, gray(CONVOLUTION))["conv.weight"]
    np.testing.assert_allclose(found, filters.sum(axis=1, keepdims=True), rtol=1e-6)


def test_layers_of_another_name_shape_or_number_of_arrays_get_no_weights(write_caffemodel):
    path = write_caffemodel(
        layer_message("other", weights_blob(numbers(4, 1, 3, 3)), weights_blob(numbers(4))),
        layer_message("conv", weights_blob(numbers(1, 4, 3, 3)), weights_blob(numbers(4))),
        layer_message("ip", weights_blob(numbers(5, 144))),
        layer_message("last", weights_blob(numbers(2, 5)), weights_blob(numbers(2))),
    )
    last = Layer("last", "InnerProduct", ("ip",), ("last",), {"num_output": 2})
    assert list(read_weights(path, gray(CONVOLUTION, INNER, last))) == ["last.weight", "last.bias"]


CONVOLVED = (
    Layer("norm", "BatchNorm", ("data",), ("norm",)),
    Layer("gain", "Scale", ("norm",), ("norm",), {"bias_term": True}),
    Layer("pool", "Pooling", ("norm",), ("pool",), {"kernel_size": 2, "stride": 2}),
    Layer("conv", "Convolution", ("pool",), ("conv",), {"num_output": 4, "kernel_size": 3}),
    Layer("top", "InnerProduct", ("conv",), ("top",), {"num_output": 3}),
)
FLATTENED = (
    Layer("prelu", "PReLU", ("data",), ("prelu",)),
    Layer("sum", "Eltwise", ("data", "prelu"), ("sum",)),
    Layer("flat", "Flatten", ("sum",), ("flat",)),
    Layer("ip", "InnerProduct", ("flat",), ("ip",), {"num_output": 5, "transpose": True}),
)
GROWN = (
    Layer("rows", "InnerProduct", ("data",), ("rows",), {"num_output": 4, "axis": -1}),
    Layer("reshape", "Reshape", ("rows",), ("reshape",), {"shape": [0, 6, 4, 4]}),
    Layer("bias", "Bias", ("reshape",), ("bias",)),
    Layer("grown", "Deconvolution", ("bias",), ("grown",), {"num_output": 2, "kernel_size": 3, "stride": 2}),
)


@pytest.mark.parametrize("layers", [CONVOLVED, FLATTENED, GROWN], ids=["convolved", "flattened", "grown"])
def test_a_network_of_caffe_gives_the_same_outputs_for_images_in_rgb_order(write_caffemodel, tmp_path, layers):
    """The file's weights expect blue, green, red, as Caffe's do; the images have red, green, blue."""
    net = network(*layers)
    weights = {w.name: np.abs(numbers(*w.shape)) for w in net.weights()}
    parts = {}
    for name, array in weights.items():
        parts.setdefault(name.split(".")[0], []).append(weights_blob(array))
    found = read_weights(write_caffemodel(*(layer_message(name, *blobs) for name, blobs in parts.items())), net)
    images = RANDOM.uniform(0, 255, (2, 3, 8, 8)).astype(np.float32)
    (blue_first,) = outputs_of(net, weights, images[:, ::-1].copy(), tmp_path).values()
    (red_first,) = outputs_of(net, found, images, tmp_path).values()
    assert np.allclose(red_first, blue_first, rtol=1e-4)
    assert not np.allclose(red_first, next(iter(outputs_of(net, weights, images, tmp_path).values())), rtol=1e-4)


def test_weights_of_later_layers_are_read_unchanged(write_caffemodel):
    lenet = standard("lenet", (3, 28, 28), 10)
    second = numbers(50, 20, 5, 5)
    found = read_weights(
        write_caffemodel(layer_message("conv2", weights_blob(second), weights_blob(numbers(50)))), lenet
    )
    assert np.array_equal(found["conv2.weight"], second)


EACH = Layer("x", "Convolution", ("data",), ("x",), {"num_output": 3, "kernel_size": 1})


@pytest.mark.parametrize(
    "layers",
    [
        (Layer("x", "Convolution", ("data",), ("x",), {"num_output": 3, "kernel_size": 1, "group": 3}),),
        (EACH, Layer("y", "Eltwise", ("data", "x"), ("y",))),
        (EACH, Layer("y", "Concat", ("data", "x"), ("y",))),
        (EACH, Layer("y", "Slice", ("data",), ("y", "z"), {"slice_point": [1]})),
        (EACH, Layer("y", "Reshape", ("data",), ("y",), {"shape": [0, 2, 12, 8]})),
    ],
    ids=["group", "Eltwise", "Concat", "Slice", "Reshape"],
)
def test_weights_of_caffe_are_refused_where_a_layer_processes_single_colours(write_caffemodel, layers):
    path = write_caffemodel(layer_message("x", weights_blob(numbers(3, 3, 1, 1)), weights_blob(numbers(3))))
    with pytest.raises(
        BadInput,
        match=rf"^layer {layers[-1].name}: weights of Caffe can't be used here, because this layer works on single",
    ):
        read_weights(path, network(*layers))


@pytest.mark.parametrize(
    "content, message_",
    [
        (b"", "has 0 bytes"),
        (b"PK\x03\x04 a zip file", "can't be read as a .caffemodel"),
        (message(1, b"x"), "has no layer with the name and shape of a layer of the network; its layers are: none"),
        (layer_message("a", weights_blob(np.ones(2))),
         "has no layer with the name and shape of a layer of the network; its layers are: a"),
        (layer_message("conv", weights_blob(np.ones((4, 1, 3, 3))), weights_blob(np.ones(4)))[:-3],
         "the message is cut short"),
        (layer_message("conv", weights_blob(np.full((4, 1, 3, 3), np.nan)), weights_blob(np.ones(4))),
         "has values that are not numbers, as"),
        (layer_message("conv", weights_blob(np.ones((4, 1, 3, 3))), integer(1, 2**63)), "it holds no numbers"),
        (layer_message("conv", weights_blob(np.ones((4, 1, 3, 3))), message(7, message(1, b"\x01" * 40))
         + message(5, b"1234")),
         "it says that it has 40 axes"),
        (message(2, message(1, b"old")), "it is in Caffe's format of 2013; upgrade it with upgrade_net_proto_binary"),
        (integer(3, 1) * 250_001, "it has more than 250,000 fields"),
    ],
    ids=range(10),
)  # fmt: skip
def test_an_invalid_caffemodel_is_refused_with_the_reason(tmp_path, content, message_):
    path = tmp_path / "weights.caffemodel"
    path.write_bytes(content)
    with pytest.raises(BadInput) as raised:
        read_weights(path, gray(CONVOLUTION))
    assert str(raised.value).startswith(str(path))
    assert message_ in str(raised.value)


def test_a_missing_caffemodel_is_a_bad_input(tmp_path):
    with pytest.raises(BadInput, match="No such file or directory"):
        read_weights(tmp_path / "none.caffemodel", gray(CONVOLUTION))


def test_a_damaged_caffemodel_raises_nothing_but_bad_input(tmp_path):
    whole = layer_message("conv", weights_blob(numbers(4, 1, 3, 3)), old_blob(numbers(4))) + old_layer_message(
        "ip", unpacked_blob(numbers(5))
    )
    path, generator, network = tmp_path / "weights.caffemodel", random.Random(4), gray(CONVOLUTION)
    refused = 0
    for _ in range(400):
        damaged = bytearray(whole)
        for _ in range(generator.randint(1, 5)):
            damaged[generator.randrange(60 if generator.random() < 0.7 else len(damaged))] = generator.randrange(256)
        path.write_bytes(damaged[: generator.choice([len(damaged), generator.randrange(1, len(damaged))])])
        with contextlib.suppress(BadInput):
            read_weights(path, network)
            refused -= 1
        refused += 1
    assert refused > 200
