"""The networks of timm as data: what the catalogue says of them, and what is trained of one. timm is not loaded."""

import json
import sys

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.estimates.network_costs import costs_of
from models_app.networks import BadNetwork, Network, TimmNetwork, find_standard, parameter_count, prototxt, standard
from models_app.networks.drawing import svg
from models_app.networks.fine_tuning import BLOCKS, HEAD, FineTuning, tuned
from models_app.networks.pretrained.published_files import find_published
from models_app.networks.published import MAX_NETWORK_NAME
from models_app.networks.retrain import retrained
from models_app.networks.timm import timm_catalogue
from models_app.networks.timm.timm_network import block_numbers
from models_app.training.augmentation.declaration import Augmentation
from models_app.training.engines import engines_of_network
from models_app.training.features.plan import planned_parts
from models_app.training.measures import Tally
from models_app.training.starting_weights import starting_weights

ATTO = "timm/convnext_atto"
# Some of the tensors of convnext_atto, in the order of its state.
SHAPES = {
    "stem.0.weight": (40, 3, 4, 4), "stages.0.blocks.0.gamma": (40,), "stages.3.blocks.0.mlp.fc1.weight": (1280, 320),
    "stages.3.blocks.1.mlp.fc1.weight": (1280, 320), "head.norm.bias": (320,), "head.fc.weight": (10, 320),
    "head.fc.bias": (10,),
}  # fmt: skip


@pytest.fixture
def atto():
    return standard(ATTO, (3, 64, 64), 10).with_tensors(SHAPES)


def test_the_tests_load_no_timm(atto):
    assert not {"timm", "torch"} & set(sys.modules)


def test_a_network_of_timm_has_the_preparation_of_images_of_its_weights(atto):
    assert (atto.name, atto.input_shape, atto.categories) == (ATTO, (3, 64, 64), 10)
    assert atto.normalization.mean == (123.675, 116.28, 103.53)
    assert (atto.resizing.crop_fraction, atto.resizing.interpolation) == (0.875, "bicubic")
    assert standard("timm/vit_tiny_patch16_224", (3, 224, 224), 2).normalization.std == (127.5, 127.5, 127.5)
    assert standard(ATTO, (1, 64, 64), 2).normalization.mean == pytest.approx((114.495,))


def test_a_network_of_timm_is_read_as_it_was_written(atto):
    changed = tuned(atto, FineTuning(BLOCKS, 2, 0.1, freeze_batch_norm=True))
    for network in (atto, changed, standard(ATTO, (3, 32, 32), 2)):
        again = Network.from_dict(json.loads(json.dumps(network.to_dict())))
        assert isinstance(again, TimmNetwork)
        assert again == network
    for wrong in ({"kind": "keras"}, {"kind": []}, {"tensors": {"a": 1}}, {"tensors": None}):
        with pytest.raises(BadNetwork, match="this is not a network"):
            Network.from_dict(atto.to_dict() | wrong)


@pytest.mark.parametrize(
    "name, message",
    [
        ("timm/convnext_ato", "has no classifier 'convnext_ato'; there are timm/convnext_atto"),
        ("timm/resnet50d.a1_in1k", "has no classifier 'resnet50d.a1_in1k'; there are timm/resnet50d"),
        ("timm/hf_hub:timm/convnext_atto", "has no classifier 'hf_hub:timm/convnext_atto'"),
        ("timm/local-dir:/etc", "has no classifier 'local-dir:/etc'"),
        ("timm/../convnext_atto", "has no classifier"),
        ("timm/Convnext_atto", "has no classifier 'Convnext_atto'; there are timm/convnext_atto"),
        ("timm/", "has no classifier ''"),
        ("timm/" + "x" * 10_000, "has no classifier"),
    ],
)
def test_only_names_of_the_catalogue_are_networks(name, message, atto):
    with pytest.raises(BadNetwork, match="has no classifier") as refused:
        standard(name, (3, 224, 224), 10)
    assert message in str(refused.value)
    assert len(str(refused.value)) < 500
    smuggled = atto.to_dict() | {"model": name.removeprefix("timm/")}
    with pytest.raises(BadNetwork):
        Network.from_dict(smuggled).check()


def test_a_size_that_a_network_does_not_take_is_refused_with_the_sizes_that_it_takes():
    only = "timm/efficientformer_l1 takes images of 224×224 only, not 64×64; its own size is 224×224"
    with pytest.raises(BadNetwork, match=only):
        standard("timm/efficientformer_l1", (3, 64, 64), 10)
    with pytest.raises(BadNetwork, match="takes images of at least 32×32, not 48×31"):
        standard(ATTO, (3, 31, 48), 10)
    with pytest.raises(BadNetwork, match="takes images of at least 32×32 in steps of 16, not 100×100"):
        standard("timm/vit_tiny_patch16_224", (3, 100, 100), 10)


def test_losses_and_scores_are_those_of_every_classifier(atto):
    atto.check()
    atto.check_trainable("train", "val")
    atto.check_categories(10)
    assert (atto.outputs(), atto.shapes()["softmax"], atto.label_shape) == (["softmax"], (10,), ())
    tally = Tally(atto, "val")
    tally.add({("model", "scores"): np.eye(10, dtype=np.float32)[:2] * 50}, np.array([0, 2], np.float32))
    assert tally.averages().accuracy == 0.5
    with pytest.raises(BadNetwork, match="num_output is 10, but the dataset has 11 categories"):
        atto.check_categories(11)


def test_mxnet_trains_no_network_of_timm(atto):
    with pytest.raises(Exception, match="MXNet can't train layers of type timm"):
        engines_of_network(atto, "mxnet")


def rates(network):
    return {weight.name: weight.multipliers.lr_mult for weight in network.weights()}


def test_the_weights_are_the_tensors_and_one_axis_does_not_decay(atto):
    weights = {weight.name: weight for weight in atto.weights()}
    assert {name: weight.shape for name, weight in weights.items()} == SHAPES
    assert [name for name, weight in weights.items() if not weight.multipliers.decay_mult] == [
        "stages.0.blocks.0.gamma", "head.norm.bias", "head.fc.bias",
    ]  # fmt: skip
    assert weights["head.fc.bias"].layer == "head.fc"
    assert parameter_count(atto) == sum(int(np.prod(shape)) for shape in SHAPES.values())
    assert set(rates(atto).values()) == {1.0}


def test_head_blocks_and_rates_are_those_of_the_fine_tuning(atto):
    head = {"head.fc.weight", "head.fc.bias"}
    only_head = rates(tuned(atto, FineTuning(HEAD)))
    assert {name for name, rate in only_head.items() if rate} == head
    slower = rates(tuned(atto, FineTuning(backbone_lr_factor=0.1)))
    assert {name for name, rate in slower.items() if rate == 1} == head
    assert set(slower.values()) == {0.1, 1.0}


def test_the_last_blocks_are_trained_with_what_follows_them():
    names = ["stem.weight", *(f"blocks.{number}.{part}" for number in range(12) for part in ("a", "b")), "norm.bias"]
    network = standard("timm/vit_tiny_patch16_224", (3, 224, 224), 10)
    shapes = dict.fromkeys(["cls_token", *names, "head.weight"], (4, 4))
    trained = rates(tuned(network.with_tensors(shapes), FineTuning(BLOCKS, trained_blocks=2)))
    assert [name for name, rate in trained.items() if rate] == [
        "blocks.10.a", "blocks.10.b", "blocks.11.a", "blocks.11.b", "norm.bias", "head.weight",
    ]  # fmt: skip
    with pytest.raises(BadNetwork, match="has 12 blocks before its head, not 13"):
        tuned(network, FineTuning(BLOCKS, trained_blocks=13)).check_trainable("train")


@pytest.mark.parametrize(
    "names, numbers",
    [
        (["features.conv0.weight", "features.denseblock1.denselayer1.norm1.weight", "features.transition1.norm.weight",
          "features.denseblock2.denselayer1.norm1.weight", "features.norm5.weight"], [-1, 0, 0, 1, 1]),
        (["pos_embed", "transformers.0.blocks.0.norm1.weight", "transformers.1.pool.conv.weight",
          "transformers.1.blocks.0.norm1.weight"], [-1, 0, 0, 1]),
        (["conv2d_1a.conv.weight", "mixed_5b.branch0.conv.weight", "repeat.0.conv2d.weight", "block8.conv2d.weight"],
         [-1, 0, 1, 2]),
        (["conv0.conv.weight", "cell_stem_0.conv.weight", "reduction_cell_0.conv.weight", "cell_1.conv.weight"],
         [-1, 0, 1, 2]),
        (["stem.weight", "stages.0.blocks.0.weight", "stages.0.blocks.1.weight"], [-1, 0, 1]),
        (["a", "b"], [-1, -1]),
    ],
)  # fmt: skip
def test_blocks_are_found_by_the_names_of_every_family(names, numbers):
    assert list(block_numbers(names).values()) == numbers


def test_every_network_but_few_has_blocks():
    facts = map(timm_catalogue.facts_of, timm_catalogue.names())
    assert [one.name for one in facts if one.blocks < 2] == []


def test_a_network_for_other_categories_has_another_head_and_learns_its_tensors_anew(atto):
    other = retrained(atto, (3, 96, 96), (), (10, 3))
    assert (other.categories, other.input_shape, other.tensors) == (3, (3, 96, 96), {})
    assert parameter_count(other) == 3_374_520 + 3 * 321


def test_a_file_of_another_model_is_refused(atto):
    with pytest.raises(BadNetwork, match="so these are not the weights of timm/convnext_atto"):
        atto.with_tensors({"conv1.weight": (1,)})


def test_weights_of_a_file_are_taken_over_tensor_by_tensor(atto, tmp_path):
    arrays = {name: np.full(shape, 2, np.float32) for name, shape in SHAPES.items()}
    np.savez(tmp_path / "weights.npz", **arrays | {"head.fc.weight": np.zeros((3, 320), np.float32)})
    drawn = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    found = starting_weights(atto, 1, str(tmp_path / "weights.npz"), draw=lambda seed: drawn)
    assert found.afresh == ("head.fc",)
    assert found.arrays["stem.0.weight"].max() == 2 == found.arrays["head.norm.bias"].max()
    assert found.arrays["head.fc.bias"].max() == 0
    assert "its shapes are 3×320 and 10 in the file, 10×320 and 10 in the network" in found.warnings[0]


def test_a_network_of_timm_is_drawn_but_is_no_prototxt(atto):
    assert ATTO in svg.svg(atto)
    with pytest.raises(BadNetwork, match="is a network of the timm library, which can't be written as Caffe prototxt"):
        prototxt.write(atto)


def test_a_head_of_one_linear_layer_is_trained_on_features(atto):
    parts = planned_parts(tuned(atto, FineTuning(HEAD)), HEAD, None, Augmentation())
    assert (parts.size, parts.backbone.shapes()["features"]) == (320, (320,))
    assert [weight.name for weight in parts.backbone.weights()] == list(SHAPES)[:-2]
    assert not any(weight.trained for weight in parts.backbone.weights())
    learned = {weight.name: (weight.shape, weight.multipliers) for weight in parts.head.weights()}
    whole = {weight.name: (weight.shape, weight.multipliers) for weight in atto.weights() if atto.is_head(weight.name)}
    assert learned == whole
    assert Network.from_dict(json.loads(json.dumps(parts.backbone.to_dict()))) == parts.backbone


def test_another_head_is_trained_on_images_unless_views_are_asked_for():
    head = tuned(standard("timm/deit_tiny_distilled_patch16_224", (3, 224, 224), 10), FineTuning(HEAD))
    assert planned_parts(head, HEAD, None, Augmentation()) is None
    with pytest.raises(Exception, match="is more than one linear layer, so there are no features to keep; take feat"):
        planned_parts(head, HEAD, 1, Augmentation())


def test_filters_of_three_colours_are_summed_up_for_gray_images(atto, tmp_path):
    np.savez(tmp_path / "weights.npz", **{name: np.ones(shape, np.float32) for name, shape in SHAPES.items()})
    gray = standard(ATTO, (1, 64, 64), 10).with_tensors(SHAPES | {"stem.0.weight": (40, 1, 4, 4)})
    drawn = {name: np.zeros(weight.shape, np.float32) for name, weight in gray.tensors.items()}
    found = starting_weights(gray, 1, str(tmp_path / "weights.npz"), draw=lambda seed: drawn)
    assert (found.afresh, found.warnings) == ((), ())
    assert (found.arrays["stem.0.weight"] == 3).all()


def test_costs_follow_the_area_of_the_images():
    own, small = (costs_of(standard(ATTO, (3, side, side), 10)) for side in (224, 112))
    assert own.multiplications == pytest.approx(4 * small.multiplications, rel=1e-6)
    assert own.weights == own.trained == 3_377_730
    assert costs_of(standard(ATTO, (3, 64, 64), 10), FineTuning(HEAD)).trained == 3210


def test_weights_on_the_hub_are_found_by_their_name():
    found = find_published("timm/convnext_atto.d2_in1k")
    assert (found.network, found.file) == (ATTO, "model.safetensors")
    assert found.url() == "https://huggingface.co/timm/convnext_atto.d2_in1k/resolve/main/model.safetensors"
    assert find_published("timm/resnet50.a1_in1k").network == "resnet50_torch"
    with pytest.raises(BadInput, match="for this network"):
        find_published("timm/convnext_atto.v1")
    with pytest.raises(BadNetwork, match="has no classifier 'convnext_ato'; there are timm/convnext_atto"):
        find_published("timm/convnext_ato.d2_in1k")
    with pytest.raises(BadInput, match="There are no published weights 'convnext_atto'"):
        find_published("convnext_atto")


def test_the_catalogue_is_consistent():
    names = timm_catalogue.names()
    facts = [timm_catalogue.facts_of(name) for name in names]
    assert names == sorted(names)
    assert max(map(len, names)) + len(timm_catalogue.PREFIX) <= MAX_NETWORK_NAME
    assert [one.name for one in facts if not one.takes(one.size, one.size)] == []
    assert [one.name for one in facts if len(one.mean) != 3 or not one.classifier] == []
    hubs = [weights.hub for one in facts for weights in one.weights]
    assert f"{ATTO}.d2_in1k" in hubs
    assert all(find_standard(f"timm/{name}").resizing.to_dict() for name in names)
