"""Networks beyond the size limits are refused with a message, before any memory is allocated for them."""

import math

import pytest

from models_app.networks import BadNetwork, Layer, Network
from tests.support.samples.network_samples import DATA, chain, network

HUGE = 2**31 - 1


@pytest.mark.parametrize(
    "kind, parameters, message",
    [
        ("Convolution", {"num_output": 8, "kernel_size": 1, "pad": 20_000}, "3×40008×40008 would be "),
        ("Convolution", {"num_output": 10**7, "kernel_size": 1}, "10000000×8×8 would be 640,000,000 numbers"),
        ("Convolution", {"num_output": 2, "kernel_size": 3, "dilation": HUGE}, " kernel does not fit a 8×8 input"),
        ("Deconvolution", {"num_output": 2, "kernel_size": 3, "stride": 9_000}, "2×63003×63003 would be "),
        ("Deconvolution", {"num_output": 2, "kernel_size": 9999, "pad": 5_000}, "2×10006×10006 would be "),
        ("Deconvolution", {"num_output": 2, "kernel_size": 3, "pad": 5}, "a pad of 5×5 leaves nothing of its output"),
        (
            "Pooling",
            {"pool": "AVE", "kernel_size": 10**6, "pad": 10**6 - 1, "stride": 10**6},
            "3×2000006×2000006 would",
        ),
        ("InnerProduct", {"num_output": 10**9}, "1000000000 would be 1,000,000,000 numbers for each image"),
        ("InnerProduct", {"num_output": 2**31}, f"num_output must be at most {HUGE}, not {2**31}"),
        ("Convolution", {"num_output": 2, "kernel_size": [3, 10**99]}, f"kernel_size must be at most {HUGE}, not 1"),
        ("Reshape", {"shape": [0, 2**40, -1]}, f"shape must be at most {HUGE}, not {2**40}"),
        ("LRN", {"local_size": 10**9 + 1}, "local_size must be at most 999, not 1000000001"),
        ("Power", {"scale": 10**400}, "scale must be finite, not 1000"),
        ("Power", {"scale": 1e300}, "scale must be finite, not 1e+300"),
        ("Power", {"shift": 1e-300}, "shift must be 0 or at least 1e-37, not 1e-300"),
        ("Eltwise", {"coeff": [math.nan]}, "coeff must be finite, not nan"),
    ],
)
def test_a_layer_beyond_the_size_limits_is_refused_with_its_name(kind, parameters, message):
    with pytest.raises(BadNetwork) as raised:
        chain((kind, parameters)).check()
    assert str(raised.value).startswith(f"layer {kind.lower()}1: ")
    assert message in str(raised.value)


def test_layers_within_the_limits_are_refused_if_their_sum_exceeds_the_limit():
    wide = [("Convolution", {"num_output": 1000, "kernel_size": 1})] * 40
    with pytest.raises(BadNetwork, match=r"the network would compute 1,.* numbers for each image"):
        chain(*wide, input_shape=(3, 200, 200)).check()


def test_too_many_layers_are_refused():
    with pytest.raises(BadNetwork, match="the network has 10,001 layers; at most 5,000 are possible"):
        chain(*[("ReLU", {})] * 10_000).check()


def test_too_many_inputs_of_one_layer_are_refused():
    with pytest.raises(BadNetwork, match="layer sum: at most 1,000 inputs and outputs are possible"):
        network(Layer("sum", "Eltwise", ("data",) * 1000, ("sum",))).check()


def test_too_many_inputs_of_all_layers_are_refused():
    sums = [Layer(f"sum{i}", "Eltwise", ("data",) * 900, (f"sum{i}",)) for i in range(50)]
    with pytest.raises(BadNetwork, match="the network's layers have 45,052 inputs and outputs; at most 40,000 are"):
        network(*sums).check()


@pytest.mark.parametrize("name", ["", "two\nlines", "\ud800", "x" * 201, 7])
def test_a_name_that_is_not_printable_text_of_1_to_200_characters_is_refused(name):
    for layer in (Layer(name, "ReLU", ("data",), ("a",)), Layer("a", "ReLU", ("data",), (name,))):
        with pytest.raises(BadNetwork, match="can't be a name: it must be 1 to 200 printable characters"):
            network(layer).check()


@pytest.mark.parametrize("shapes", [((3, 0, 8), ()), ((3, 8, 8), (2, 0, 1)), ((3, 8, 8), (2.5,)), ((3, 8, 8), ("2",))])
def test_shapes_of_images_and_labels_with_an_invalid_size_are_refused(shapes):
    with pytest.raises(BadNetwork, match="must have a size, not"):
        Network("empty", shapes[0], (DATA, Layer("a", "ReLU", ("data",), ("a",))), shapes[1]).check()


def test_a_network_resolves_the_layers_of_each_phase_only_once():
    sample = chain(*[("ReLU", {})] * 100)
    nodes = {phase: sample.nodes(phase) for phase in ("train", "val", "deploy")}
    sample.check()
    sample.weights()
    assert all(sample.nodes(phase) is nodes[phase] for phase in nodes)
    assert all(a is b is c for a, b, c in zip(*nodes.values(), strict=True))
