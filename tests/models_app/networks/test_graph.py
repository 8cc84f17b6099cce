"""Network.check: the graphs and layers that it refuses, with the error messages, and those that it accepts."""

import json

import pytest

from models_app.networks import BadNetwork, Layer, Multipliers, Network, default_batch_size, standard
from models_app.networks.layers import TYPES, parse
from models_app.networks.layers.layer_type import Misfit
from tests.support.samples.network_samples import DATA, chain, network


def relu(name, bottom, top=None):
    return Layer(name, "ReLU", (bottom,), (top or name,))


def test_a_kernel_larger_than_its_input_is_refused_with_the_name_of_the_layer():
    with pytest.raises(BadNetwork, match=r"^layer conv2: 5×5 kernel does not fit a 4×4 input$"):
        standard("lenet", (1, 12, 12), 10)


@pytest.mark.parametrize(
    "layers, message",
    [
        ([relu("a", "nowhere")], "layer a: its input nowhere is not the output of any layer"),
        ([relu("a", "b"), relu("b", "data")], "layer a: its input b is made only further down, by layer b"),
        ([relu("a", "c"), relu("b", "a"), relu("c", "b")], "layer a: its input c depends on its own output (a cycle "
                                                           "through layer c)"),
        ([relu("a", "a")], "layer a: its input a depends on its own output (a cycle through layer a)"),
        ([relu("a", "data"), relu("b", "data", "a")], "layer b: its output a is already the output of another layer"),
        ([relu("a", "data"), relu("a", "a")], "layer a: there are two layers of this name"),
        ([Layer("a", "Magic", ("data",), ("a",))], "layer a: the type 'Magic' is not known"),
        ([Layer("a", "ReLU", ("data", "label"), ("a",))], "layer a: must have 1 inputs, not 2"),
        ([Layer("a", "ReLU", ("data",), ("a", "b"))], "layer a: must have 1 outputs, not 2"),
        ([Layer("a", "Eltwise", ("data",), ("a",))], "layer a: must have 2 or more inputs, not 1"),
    ],
)  # fmt: skip
def test_an_inconsistent_graph_is_refused_with_the_name_of_the_layer(layers, message):
    with pytest.raises(BadNetwork) as raised:
        network(*layers).check()
    assert str(raised.value) == message


@pytest.mark.parametrize(
    "kind, parameters, message",
    [
        ("Convolution", {"kernel_size": 3}, "Convolution needs num_output"),
        ("Convolution", {"num_output": 2}, "Convolution needs kernel_size"),
        ("Convolution", {"num_output": 0, "kernel_size": 3}, "num_output, group and dilation must be at least 1"),
        ("Convolution", {"num_output": 2, "kernel_size": 0}, "kernel_size and stride must be at least 1"),
        ("Convolution", {"num_output": 2, "kernel_size": [1, 2, 3]}, "kernel_size must be one or two whole numbers, "
                                                                     "not [1, 2, 3]"),
        ("Convolution", {"num_output": 2, "kernel_size": 3, "group": 2},
         "its 3 input channels are not a multiple of group 2"),
        ("Convolution", {"num_output": 2, "kernel_size": 3, "weight_filler": {"type": "magic"}},
         "the filler 'magic' is not known; there are: constant, uniform, gaussian, positive_unitball, xavier, msra, "
         "bilinear"),
        ("Convolution", {"num_output": 2, "kernel_size": 7, "dilation": 2, "pad": 1},
         "13×13 kernel does not fit a 8×8 input with a pad of 1×1"),
        ("Convolution", {"num_output": 2, "kernel_size": 2, "pad_mode": "VALID"},
         "pad_mode must be EXPLICIT or SAME, not 'VALID'"),
        ("Convolution", {"num_output": 2, "kernel_size": 2, "pad_mode": "SAME", "pad": 1},
         "pad_mode SAME takes no pad"),
        ("Pooling", {"kernel_size": 2, "pad": 2}, "pad must be smaller than kernel_size"),
        ("Pooling", {"kernel_size": 2, "pool": "MIN"}, "pool must be MAX or AVE, not 'MIN'"),
        ("Pooling", {}, "kernel_size and stride must be at least 1"),
        ("Pooling", {"kernel_size": 2, "round_mode": "UP"}, "round_mode must be CEIL or FLOOR, not 'UP'"),
        ("InnerProduct", {"num_output": "ten"}, "num_output must be a whole number, not 'ten'"),
        ("InnerProduct", {"num_output": True}, "num_output must be a whole number, not True"),
        ("Power", {"scale": float("nan")}, "scale must be finite, not nan"),
        ("Deconvolution", {"num_output": 2, "kernel_size": 2, "group": 2},
         "its 3 input channels are not a multiple of group 2"),
        ("Deconvolution", {"num_output": 2, "kernel_size": [2, 3], "weight_filler": {"type": "bilinear"}},
         "the filler bilinear is for square filters"),
        ("Convolution", {"num_output": 2, "kernel_size": 2, "weight_filler": {"std": float("nan")}},
         "a filler's std must be finite, not nan"),
        ("Pooling", {"kernel_size": 2, "pool": "STOCHASTIC"},
         "pool STOCHASTIC is not supported, because its results are random; use MAX or AVE"),
        ("LRN", {"norm_region": "AROUND"}, "norm_region must be ACROSS_CHANNELS or WITHIN_CHANNEL, not 'AROUND'"),
        ("LRN", {"norm_region": "WITHIN_CHANNEL", "k": 2}, "k must be 1 for norm_region WITHIN_CHANNEL, not 2"),
        ("InnerProduct", {"num_output": 2, "axis": 4}, "axis 4 is not one of its input 3×8×8"),
        ("InnerProduct", {"num_output": 2, "axis": -4}, "axis -4 is the batch, which stays as it is"),
        ("Concat", {"axis": 0}, "axis 0 is the batch, which stays as it is"),
        ("Softmax", {"axis": -5}, "axis -5 is not one of its input 3×8×8"),
        ("Slice", {"axis": 0}, "axis 0 is the batch, which stays as it is"),
        ("Slice", {"slice_point": [1]}, "its 1 outputs need 0 rising slice_point, not [1]"),
        ("Slice", {"slice_point": ["a"]}, "slice_point must be whole numbers, not 'a'"),
        ("Slice", {"parts": 2}, "Slice has no parameter parts"),
        ("Flatten", {"axis": 3, "end_axis": 2}, "axis 3 comes after end_axis 2"),
        ("Flatten", {"end_axis": 0}, "end_axis 0 is the batch, which stays as it is"),
        ("Reshape", {"shape": [0, -1, -1]}, "shape must be sizes, 0, and at most one -1, not [0, -1, -1]"),
        ("Reshape", {"shape": [0, -2]}, "shape must be sizes, 0, and at most one -1, not [0, -2]"),
        ("Reshape", {"shape": [0, 7, -1]}, "its input 3×8×8 has 192 numbers, which do not fit the shape [0, 7, -1]"),
        ("Reshape", {"shape": [0, 100]}, "its input 3×8×8 has 192 numbers, which do not fit the shape [0, 100]"),
        ("Reshape", {"shape": [64, -1]}, "its first size must be the batch's: 0, not 64"),
        ("Reshape", {"shape": [-1]}, "its first size must be the batch's: 0, not -1"),
        ("Reshape", {}, "its first size must be the batch's: 0, not nothing"),
        ("Reshape", {"shape": [0, 0, 0, 0, 0]}, "shape has a 0 where its input 3×8×8 has no size"),
        ("Reshape", {"shape": [2], "axis": 9}, "axis 9 and num_axes -1 do not fit its input 3×8×8"),
        ("Exp", {"base": 1}, "base must be above 0 and not 1, or -1 for e; it is 1"),
        ("Log", {"base": -2}, "base must be above 0 and not 1, or -1 for e; it is -2"),
        ("Bias", {"axis": 2}, "axis and num_axes must be 1: one bias a channel"),
        ("SoftmaxWithLoss", {}, "must have 2 inputs, not 1"),
        ("EuclideanLoss", {"normalization": "FULL"}, "EuclideanLoss has no parameter normalization"),
        ("SigmoidCrossEntropyLoss", {"normalization": "ALL"},
         "normalization must be one of VALID, FULL, BATCH_SIZE, NONE, not 'ALL'"),
        ("Accuracy", {"top_k": 0}, "top_k must be at least 1, not 0"),
        ("Clip", {"min": 0}, "Clip needs max"),
        ("Clip", {"min": 2, "max": 1}, "min must not be above max, they are 2 and 1"),
        ("ReLU", {"slope": 1}, "ReLU has no parameter slope"),
        ("LRN", {"local_size": 4}, "local_size must be odd, not 4"),
        ("Dropout", {"dropout_ratio": 1}, "dropout_ratio must be from 0 to below 1, not 1"),
    ],
)  # fmt: skip
def test_an_invalid_parameter_is_refused_with_the_name_of_the_layer(kind, parameters, message):
    with pytest.raises(BadNetwork) as raised:
        chain((kind, parameters)).check()
    assert str(raised.value) == f"layer {kind.lower()}1: {message}"


def test_a_layer_can_overwrite_its_own_input():
    in_place = network(Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 4}), relu("relu", "ip", "ip"))
    in_place.check()
    assert in_place.outputs() == ["ip"]


def test_an_eltwise_layer_refuses_inputs_of_different_shapes():
    flat = Layer("flat", "Flatten", ("data",), ("flat",))
    with pytest.raises(BadNetwork, match=r"layer sum: its inputs differ in shape: 3×8×8 and 192"):
        network(flat, Layer("sum", "Eltwise", ("data", "flat"), ("sum",))).check()


@pytest.mark.parametrize(
    "kind, bottoms, message",
    [
        (
            "SoftmaxWithLoss",
            ("data", "label"),
            "compares an image's scores with its label, its inputs are 3×8×8 and 2×1×1",
        ),
        ("EuclideanLoss", ("data", "label"), "compares values that differ in size: 3×8×8 and 2×1×1"),
        ("Crop", ("data", "label"), "can't crop 3×8×8 to 2×1×1 at [9, 9]"),
        ("Crop", ("label", "data"), "can't crop 2×1×1 to 3×8×8 at [9, 9]"),
    ],
)
def test_inputs_of_incompatible_sizes_are_refused(kind, bottoms, message):
    parameters = {"offset": [9]} if kind == "Crop" else {}
    layers = (DATA, relu("relu", "data"), Layer("both", kind, bottoms, ("both",), parameters, phases=("train",)))
    with pytest.raises(BadNetwork) as raised:
        Network("pair", (3, 8, 8), layers, (2, 1, 1)).check()
    assert str(raised.value) == f"layer both: {message}"


def test_a_slice_layer_that_does_not_fit_its_input_is_refused():
    for points, message in (([1, 3], "can't cut 3×8×8 along axis 1 at 3"), ([], "can't cut 3×8×8 into 2 equal parts")):
        tops = ("a", "b", "c")[: len(points) + 1 if points else 2]
        with pytest.raises(BadNetwork, match=message):
            network(Layer("cut", "Slice", ("data",), tops, {"slice_point": points})).check()


def test_a_deployed_layer_that_reads_labels_is_refused():
    scaled = Layer("scaled", "Power", ("label",), ("scaled",))
    with pytest.raises(
        BadNetwork, match="layer scaled: its input label holds labels, which a deployed network does not"
    ):
        network(relu("relu", "data"), scaled).check()
    loss = Layer("loss", "EuclideanLoss", ("relu", "data"), ("loss",))
    with pytest.raises(BadNetwork, match="layer loss: EuclideanLoss compares with labels: it can't be part of"):
        network(relu("relu", "data"), loss).check()


def test_the_output_of_a_loss_can_feed_a_silence_layer_only():
    loss = Layer("loss", "EuclideanLoss", ("relu", "data"), ("loss",), phases=("train",))
    silence = Layer("silence", "Silence", ("loss",), phases=("train",))
    network(relu("relu", "data"), loss, silence).check()
    with pytest.raises(BadNetwork, match="layer twice: its input loss is the output of a loss or an accuracy"):
        network(relu("relu", "data"), loss, Layer("twice", "Power", ("loss",), ("twice",), phases=("train",))).check()


def test_a_second_layer_of_input_images_is_refused():
    with pytest.raises(BadNetwork, match="layer more: another layer already provides the images"):
        network(relu("relu", "data"), Layer("more", "Input", (), ("more",))).check()


def test_weights_whose_shape_differs_between_phases_are_refused():
    def scores(count, *phases):
        return Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": count}, phases=phases)

    with pytest.raises(BadNetwork, match="layer ip: its weight would be 5×192 in one phase and 6×192 in another"):
        network(scores(5, "train"), scores(6, "val", "deploy")).check()


def test_a_value_that_is_read_and_then_overwritten_in_place_is_an_output():
    twice = network(
        Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 4}), relu("a", "ip"), relu("b", "ip", "ip")
    )
    assert twice.outputs() == ["a", "ip"]
    assert network(relu("a", "data"), relu("b", "data"), Layer("quiet", "Silence", ("a",))).outputs() == ["b"]


def test_a_network_without_a_loss_or_without_learnable_weights_cannot_be_trained():
    loss = Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=("train",))
    ip = Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 4})
    network(ip, loss).check_trainable("train")
    with pytest.raises(BadNetwork, match="the network can't be validated: it has no loss"):
        network(ip, loss).check_trainable("train", "val")
    frozen = Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 4}, (Multipliers(0), Multipliers(0)))
    with pytest.raises(BadNetwork, match="the network can't be trained: every weight is fixed"):
        network(frozen, loss).check_trainable("train")


def test_a_network_without_an_output_is_refused():
    with pytest.raises(BadNetwork, match="no output when it is deployed"):
        Network("empty", (1, 8, 8), (DATA,)).check()


def test_more_weights_than_a_model_file_can_hold_are_refused_with_the_name_of_the_layer():
    with pytest.raises(BadNetwork, match=r"^layer innerproduct2: the network would have .* weights"):
        chain(*[("InnerProduct", {"num_output": 30_000})] * 2).check()


def test_layers_are_part_of_their_own_phases_only():
    lenet = standard("lenet", (1, 28, 28), 10)
    deployed = {node.layer.type for node in lenet.nodes("deploy")}
    assert "Softmax" in deployed
    assert not {"SoftmaxWithLoss", "Accuracy"} & deployed


def test_a_network_converted_to_json_and_back_is_equal():
    lenet = standard("lenet", (3, 32, 32), 7)
    assert Network.from_dict(json.loads(json.dumps(lenet.to_dict()))) == lenet


def test_labels_have_the_label_shape_of_the_network():
    scaled = Layer("half", "Power", ("label",), ("half",), {"scale": 0.5}, phases=("train",))
    generic = Network("generic", (3, 8, 8), (DATA, scaled, relu("relu", "data")), label_shape=(2, 4, 4))
    generic.check()
    assert generic.shapes("train")["half"] == (2, 4, 4)
    assert Network.from_dict(json.loads(json.dumps(generic.to_dict()))) == generic


def test_a_network_without_a_label_shape_has_categories_as_labels():
    described = {name: value for name, value in chain(("ReLU", {})).to_dict().items() if name != "label_shape"}
    assert Network.from_dict(described).label_shape == ()


@pytest.mark.parametrize("parameters", [{"crop_size": -1}, {"crop_size": 2.5}, {"mirror": 1}])
def test_an_invalid_crop_size_or_mirror_of_a_data_layer_is_refused(parameters):
    data = Layer("data", "Data", (), ("data", "label"), parameters)
    with pytest.raises(BadNetwork, match=f"layer data: {next(iter(parameters))} must"):
        Network("cropped", (3, 8, 8), (data, relu("relu", "data"))).check()


@pytest.mark.parametrize("data", [{}, {"name": "x", "input_shape": [1, 2], "layers": []}, {"name": "x", "layers": 3}])
def test_from_dict_refuses_data_that_is_not_a_network(data):
    with pytest.raises(BadNetwork, match="this is not a network"):
        Network.from_dict(data)


def test_an_unknown_standard_network_is_refused():
    with pytest.raises(BadNetwork, match="there is no standard network 'lenet6'"):
        standard("lenet6", (1, 28, 28), 10)
    assert default_batch_size("lenet") == 64


def test_every_layer_type_refuses_an_unknown_parameter():
    for kind in TYPES.values():
        with pytest.raises(Misfit, match="has no parameter nonsense"):
            parse(kind, {"nonsense": 1})
