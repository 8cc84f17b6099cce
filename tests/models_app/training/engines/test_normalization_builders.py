"""Which Scale layers the MXNet engine computes within the BatchNorm that they read."""

import pytest

from models_app.networks import Layer, Multipliers, Network, standard
from models_app.networks.fine_tuning import HEAD, FineTuning, tuned
from models_app.training.engines.mxnet.layer_builders import build
from models_app.training.engines.mxnet.normalization_builders import joined_scales
from tests.support.samples.network_samples import network

NORM = Layer("norm", "BatchNorm", ("data",), ("norm",))
SCALE = Layer("scale", "Scale", ("norm",), ("norm",), {"bias_term": True})


def joined(*layers: Layer, phase="train") -> list[tuple[str, str]]:
    """The (BatchNorm, Scale) pairs that are computed as one."""
    return [(norm, scale.layer.name) for norm, scale in joined_scales(network(*layers), phase).items()]


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
@pytest.mark.parametrize("phase", ["train", "val", "deploy"])
def test_a_standard_network_has_no_scale_of_its_own_left(name, phase):
    sample: Network = standard(name, (3, 32, 32), 10)
    graph = build(sample, phase, None)
    assert "broadcast_mul" not in graph.values[sample.nodes(phase)[-1].layer.tops[0]].tojson()


def test_a_scale_that_alone_reads_a_batch_norm_is_joined_to_it():
    assert joined(NORM, SCALE) == [("norm", "scale")]


def test_a_batch_norm_that_another_layer_reads_too_is_not_joined():
    other = Layer("other", "Power", ("norm",), ("other",))
    assert joined(NORM, other, Layer("scale", "Scale", ("norm",), ("out",))) == []


def test_a_scale_whose_gain_is_frozen_is_not_joined():
    """MXNet updates the running averages in the pass that computes the gain's gradient."""
    frozen = Layer("scale", "Scale", ("norm",), ("norm",), {}, (Multipliers(0),))
    assert joined(NORM, frozen) == []


def test_a_batch_norm_with_a_gain_of_its_own_is_not_joined():
    own = Layer("norm", "BatchNorm", ("data",), ("norm",), {"scale_bias": True})
    assert joined(own, SCALE) == []


def test_a_scale_behind_a_layer_that_works_in_place_is_not_joined_to_the_batch_norm():
    relu = Layer("relu", "ReLU", ("norm",), ("norm",))
    assert joined(NORM, relu, SCALE) == []


def test_a_frozen_scale_is_joined_to_a_batch_norm_that_keeps_its_averages():
    changed = tuned(standard("efficientnet_lite0", (3, 64, 64), 5), FineTuning(HEAD))
    norms = [node for node in changed.nodes("train") if node.layer.type == "BatchNorm"]
    assert len(joined_scales(changed, "train")) == len(norms) > 0
