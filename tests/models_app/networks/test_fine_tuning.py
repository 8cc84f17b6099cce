"""Fine-tuning: which layers are trained, at which rate, and which averages stay."""

from dataclasses import replace

import numpy as np
import pytest

from models_app.networks import STANDARD, BadNetwork, Multipliers, standard
from models_app.networks.fine_tuning import BLOCKS, HEAD, FineTuning, blocks, tuned, with_plain_averages
from models_app.training.snapshots.snapshot_reader import load_weights
from models_app.training.trainer import train
from tests.support.samples.engine_samples import random_weights
from tests.support.samples.network_samples import chain
from tests.support.samples.training_samples import config_of, dropout_network, write_digits_dataset

SIDES = {"lenet": 28, "alexnet": 67, "googlenet": 96, "vgg16": 32}
HEADS = {"lenet": "ip2", "alexnet": "fc8", "vgg16": "fc8", "resnet18": "fc1000", "resnet50": "fc1000",
         "mobilenet_v2": "fc", "squeezenet": "conv10", "efficientnet_lite0": "fc", "alexnet_torch": "fc8",
         "googlenet_torch": "fc", "resnet18_torch": "fc1000", "resnet50_torch": "fc1000"}  # fmt: skip


def standard_network(name):
    return standard(name, (3, *[SIDES.get(name, 64)] * 2), 5)


def trained_layers(network) -> list[str]:
    return list(dict.fromkeys(weight.layer for weight in network.weights() if weight.trained))


def norms(network) -> dict[str, bool]:
    """Whether each BatchNorm keeps its averages."""
    return {n.layer.name: n.kind.use_global_stats for n in network.nodes("train") if n.layer.type == "BatchNorm"}


def test_without_fine_tuning_a_network_stays_as_it_is():
    network = standard_network("resnet18")
    assert tuned(network, FineTuning()) is network


@pytest.mark.parametrize("name, head", HEADS.items())
def test_only_the_head_of_a_standard_network_is_trained(name, head):
    changed = tuned(standard_network(name), FineTuning(HEAD))
    assert trained_layers(changed) == [head]
    assert all(norms(changed).values())
    assert [w.shape for w in changed.weights()] == [w.shape for w in standard_network(name).weights()]


def test_all_heads_of_googlenet_are_trained():
    changed = tuned(standard_network("googlenet"), FineTuning(HEAD))
    assert trained_layers(changed) == ["loss1/classifier", "loss2/classifier", "loss3/classifier"]


@pytest.mark.parametrize(
    "name, count, last",
    [
        ("lenet", 4, ["conv2", "ip1", "ip2"]),
        ("vgg16", 8, ["conv5", "fc6", "fc7", "fc8"]),
        ("resnet18", 10, ["5a", "5b", "fc1000"]),
        ("resnet50", 18, ["5b", "5c", "fc1000"]),
        ("mobilenet_v2", 20, ["block17", "conv2", "fc"]),
        ("squeezenet", 10, ["fire8", "fire9", "conv10"]),
        ("googlenet", 13, ["inception_5a", "inception_5b", "loss3/classifier"]),
        ("googlenet_torch", 13, ["inception5a", "inception5b", "fc"]),
        ("efficientnet_lite0", 19, ["block15", "block16", "conv2", "fc"]),
    ],
)
def test_a_standard_network_has_blocks_of_layers(name, count, last):
    assert len(blocks(standard_network(name))) == count
    assert blocks(standard_network(name))[-len(last) :] == last


def test_the_last_blocks_are_trained_with_their_normalizations():
    changed = tuned(standard_network("efficientnet_lite0"), FineTuning(BLOCKS, trained_blocks=2))
    expected = ["block16/expand", "block16/expand/scale", "block16/depthwise", "block16/depthwise/scale",
                "block16/linear", "block16/linear/scale", "conv2", "conv2/scale", "fc"]  # fmt: skip
    assert trained_layers(changed) == expected
    moving = [name for name, kept in norms(changed).items() if not kept]
    assert moving == ["block16/expand/bn", "block16/depthwise/bn", "block16/linear/bn", "conv2/bn"]


def test_the_backbone_learns_at_a_fraction_of_the_heads_rate():
    changed = tuned(standard_network("vgg16"), FineTuning(backbone_lr_factor=0.1))
    rates = {weight.name: weight.multipliers.lr_mult for weight in changed.weights()}
    assert (rates["conv1_1.weight"], rates["conv1_1.bias"]) == pytest.approx((0.1, 0.2))
    assert (rates["fc8.weight"], rates["fc8.bias"]) == (1, 2)
    assert {weight.multipliers.decay_mult for weight in changed.weights()} == {0, 1}


def test_averages_can_be_kept_while_all_layers_are_trained():
    changed = tuned(standard_network("resnet18"), FineTuning(freeze_batch_norm=True))
    assert all(norms(changed).values())
    assert trained_layers(changed) == trained_layers(standard_network("resnet18"))


def test_layers_that_the_network_itself_fixes_stay_fixed():
    network = standard_network("lenet")
    fixed = replace(network, layers=tuple(
        replace(layer, multipliers=(Multipliers(0), Multipliers(0))) if layer.name == "conv1" else layer
        for layer in network.layers
    ))  # fmt: skip
    assert "conv1" not in trained_layers(tuned(fixed, FineTuning(backbone_lr_factor=0.5)))


def test_more_blocks_than_there_are_and_a_network_without_a_head_are_refused():
    with pytest.raises(BadNetwork, match="the network has 3 blocks before its head, not 4"):
        tuned(standard_network("lenet"), FineTuning(BLOCKS, trained_blocks=4))
    with pytest.raises(BadNetwork, match="the network has no head"):
        tuned(chain(("InnerProduct", {"num_output": 3})), FineTuning(HEAD))


def test_averages_that_are_kept_lose_their_factor():
    for kept in (False, True):
        network = chain(("BatchNorm", {"use_global_stats": kept}), input_shape=(3, 4, 4))
        weights = random_weights(network)
        plain = with_plain_averages(network, weights)
        assert (plain["batchnorm1.factor"][0] == 1) == kept
        ratio = plain["batchnorm1.mean"] / plain["batchnorm1.factor"]
        np.testing.assert_allclose(ratio, weights["batchnorm1.mean"] / weights["batchnorm1.factor"], rtol=1e-6)


@pytest.mark.usefixtures("engine_name")
@pytest.mark.parametrize("solver", ["SGD", "ADAM"])
def test_a_training_of_the_head_leaves_every_other_weight_and_average_as_it_was(solver, tmp_path):
    dataset = write_digits_dataset(tmp_path)
    network = dropout_network()
    weights = random_weights(network) | {"norm.factor": np.ones(1, np.float32)}
    np.savez(tmp_path / "start.npz", **weights)
    fields = {"initial_weights": str(tmp_path / "start.npz"), "train_layers": "head", "solver_type": solver}
    train(config_of(dataset, tmp_path / "model", network=network.to_dict(), **fields), lambda event: None, lambda: None)
    after = load_weights(tmp_path / "model/snapshots/epoch-2", weights)
    changed = sorted(name for name, array in weights.items() if (after[name] != array).any())
    assert changed == ["ip.bias", "ip.weight"]


@pytest.mark.usefixtures("engine_name")
@pytest.mark.parametrize("how", [{"train_layers": "head"}, {"freeze_batch_norm": True, "backbone_lr_factor": 0.1}])
def test_a_resumed_fine_tuning_ends_with_the_same_bits(how, tmp_path):
    dataset = write_digits_dataset(tmp_path)
    weights = random_weights(dropout_network())  # with a factor of its own for the averages
    np.savez(tmp_path / "start.npz", **weights)
    whole = config_of(dataset, tmp_path / "whole", network=dropout_network().to_dict(),
                      initial_weights=str(tmp_path / "start.npz"), **how)  # fmt: skip
    train(whole, lambda event: None, lambda: None)
    rest = replace(whole, directory=str(tmp_path / "rest"), resume_from=str(tmp_path / "whole/snapshots/epoch-1"))
    train(rest, lambda event: None, lambda: None)
    first, second = (load_weights(tmp_path / name / "snapshots/epoch-2", weights) for name in ("whole", "rest"))
    assert [name for name in weights if (first[name] != second[name]).any()] == []


def test_the_heads_cover_every_standard_network_but_googlenet():
    assert set(HEADS) == set(STANDARD) - {"googlenet"}
