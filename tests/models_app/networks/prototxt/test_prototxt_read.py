"""prototxt.read: the network that it makes of a text."""

import numpy as np
import pytest

from models_app.networks import BadNetwork, Layer, Multipliers, prototxt, standard
from tests.support.samples.network_samples import LENET, LENET_OF_CAFFE, LOSS, SCORES, inner_product, layer_text

IMAGES = (3, 8, 8)


def read(text, image_shape=IMAGES, categories=4, **more):
    return prototxt.read(text, image_shape, categories, **more)


def find_layer(network, name):
    (one,) = [one for one in network.layers if one.name == name]
    return one


BOTTOMS = {"Eltwise": "data data", "Crop": "data data"}


def one_layer(kind, more=""):
    """The layer `x` of a network in which only the scores and the loss follow it."""
    return find_layer(
        read(
            layer_text("x", kind, BOTTOMS.get(kind, "data"), "x", more)
            + inner_product("scores", "x")
            + LOSS.replace("output", "scores")
        ),
        "x",
    )


@pytest.mark.parametrize("text", [LENET, LENET_OF_CAFFE], ids=["digits", "caffe"])
def test_the_published_forms_of_lenet_have_the_weights_and_shapes_of_the_standard_network(text):
    ours, theirs = standard("lenet", (1, 28, 28), 10), read(text, (1, 28, 28), 10)
    expected, found = ours.initial_weights(7), theirs.initial_weights(7)
    assert list(found) == list(expected)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    assert [w.multipliers for w in theirs.weights()] == [w.multipliers for w in ours.weights()]
    assert theirs.shapes()["softmax"] == (10,)
    assert theirs.outputs("deploy") == ["softmax"]


def test_the_scale_of_a_data_layer_becomes_a_power_layer():
    assert [one.name for one in read(LENET_OF_CAFFE, (1, 28, 28), 10).layers[:2]] == ["mnist", "mnist/data/scale"]
    assert read(LENET_OF_CAFFE, (1, 28, 28), 10).layers[1] == Layer(
        "mnist/data/scale", "Power", ("data",), ("data",), {"scale": 0.0125}
    )
    labelled = find_layer(read(LENET, (1, 28, 28), 10), "train-data/scaled/scale")
    assert labelled.phases == ("train", "val")  # in deployment the text has a Power layer of its own


def test_a_text_without_a_data_layer_gets_one():
    assert read(SCORES + LOSS).layers[0] == Layer("data", "Data", (), ("data", "label"))


def test_the_scores_of_the_last_loss_get_a_softmax_layer_if_none_is_deployed():
    assert read(SCORES + LOSS).layers[-1] == Layer("softmax", "Softmax", ("output",), ("softmax",), phases=("deploy",))


def test_an_inner_product_without_num_output_gets_one_output_for_each_category():
    loss = layer_text("loss1", "SoftmaxWithLoss", "aux label", "loss1", "loss_weight: 0.3")
    network = read(inner_product("aux", "data") + loss + SCORES + LOSS)
    assert find_layer(network, "aux").parameters["num_output"] == 4
    assert find_layer(network, "hidden").parameters["num_output"] == 4
    assert find_layer(network, "loss1").parameters == {"loss_weight": 0.3}


def test_auxiliary_classifiers_are_not_deployed():
    auxiliary = inner_product("aux", "data") + layer_text("loss1", "SoftmaxWithLoss", "aux label", "loss1")
    network = read(auxiliary + SCORES + LOSS)
    assert find_layer(network, "aux").phases == ("train", "val")
    assert network.outputs("deploy") == ["softmax"]


@pytest.mark.parametrize(
    "rules, phases",
    [
        ("", ("train", "val", "deploy")),
        ("include { phase: TRAIN }", ("train",)),
        ("include { phase: TEST }", ("val", "deploy")),
        ('include { stage: "val" }', ("val",)),
        ('include { phase: TEST stage: "deploy" }', ("deploy",)),
        ('include { stage: "train" } include { stage: "val" }', ("train", "val")),
        ('include { stage: "train" stage: "val" }', ()),
        ('include { not_stage: "train" }', ("val", "deploy")),
        ('exclude { stage: "deploy" }', ("train", "val")),
        ("exclude { phase: 0 }", ("val", "deploy")),
        ("include { min_level: 1 }", ()),
        ("include { max_level: 1 phase: TRAIN }", ("train",)),
    ],
)
def test_include_and_exclude_rules_choose_the_phases_of_a_layer(rules, phases):
    network = read(layer_text("x", "ReLU", "data", "x", rules) + SCORES + LOSS, categories=4)
    assert [one.phases for one in network.layers if one.name == "x"] == ([phases] if phases else [])


@pytest.mark.parametrize(
    "kind, text, parameters",
    [
        ("Convolution", "convolution_param { num_output: 2 kernel_h: 3 kernel_w: 1 pad_w: 2 engine: CUDNN }",
         {"num_output": 2, "kernel_size": [3, 1], "pad": [0, 2]}),
        ("Convolution", "convolution_param { num_output: 2 kernel_size: 3 kernel_size: 5 axis: 1 }",
         {"num_output": 2, "kernel_size": [3, 5]}),
        ("Convolution", "convolution_param: < num_output: 0x2, kernel_size: [3]; bias_term: 0 >",
         {"num_output": 2, "kernel_size": 3, "bias_term": False}),
        ("InnerProduct", 'inner_product_param { num_output: 2 weight_filler { type: "msra" variance_norm: AVERAGE } }',
         {"num_output": 2, "weight_filler": {"type": "msra", "variance_norm": "AVERAGE"}}),
        ("Pooling", "pooling_param { pool: 1 kernel_size: 2 }", {"pool": "AVE", "kernel_size": 2}),
        ("LRN", "lrn_param { local_size: 3 alpha: 1e-4 beta: .75 norm_region: ACROSS_CHANNELS }",
         {"local_size": 3, "alpha": 1e-4, "beta": 0.75, "norm_region": "ACROSS_CHANNELS"}),
        ("Dropout", "dropout_param { dropout_ratio: 0.25f scale_train: true }", {"dropout_ratio": 0.25}),
        ("ReLU", "relu_param { negative_slope: 0.1 engine: CAFFE } phase: TEST", {"negative_slope": 0.1}),
        ("Concat", "concat_param { concat_dim: 2 }", {"axis": 2}),
        ("Reshape", "reshape_param { shape { dim: 0 dim: -1 } }", {"shape": [0, -1]}),
        ("Crop", "crop_param { axis: 2 offset: 0 offset: 0 }", {"axis": 2, "offset": [0, 0]}),
        ("PReLU", "prelu_param { filler { value: 0.1 } channel_shared: true }",
         {"filler": {"value": 0.1}, "channel_shared": True}),
        ("BatchNorm", "batch_norm_param { use_global_stats: true }", {"use_global_stats": True}),
        ("BatchNorm", 'batch_norm_param { scale_filler { type: "constant" value: 1 } bias_filler { value: 0 } }',
         {"scale_filler": {"type": "constant", "value": 1}, "bias_filler": {"value": 0}}),
        ("BatchNorm", "forward_type: FLOAT16 batch_norm_param { scale_bias: true engine: CUDNN }",
         {"scale_bias": True}),
        ("Pooling", "pooling_param { kernel_size: 2 round_mode: FLOOR }", {"kernel_size": 2, "round_mode": "FLOOR"}),
        ("Pooling", "pooling_param { kernel_size: 2 round_mode: 0 }", {"kernel_size": 2, "round_mode": "CEIL"}),
        ("Pooling", "pooling_param { kernel_size: 2 ceil_mode: false }", {"kernel_size": 2, "round_mode": "FLOOR"}),
        ("Convolution", 'convolution_param { num_output: 2 kernel_size: 3 cudnn_convolution_algo_seeker: FINDEX'
         ' weight_filler { type: "gaussian" sparse: 1 } }',
         {"num_output": 2, "kernel_size": 3, "weight_filler": {"type": "gaussian", "sparse": 1}}),
    ],
)  # fmt: skip
def test_parameters_in_the_notation_of_caffe_are_read(kind, text, parameters):
    assert one_layer(kind, text).parameters == parameters


@pytest.mark.parametrize("text, normalization", [("true", "VALID"), ("false", "BATCH_SIZE")])
def test_the_older_normalize_field_of_a_loss_is_read(text, normalization):
    text = f"loss_param {{ normalize: {text} ignore_label: 255 }}"
    loss = find_layer(read(SCORES + LOSS + layer_text("x", "SoftmaxWithLoss", "output label", "x", text)), "x")
    assert loss.parameters == {"normalization": normalization, "ignore_label": 255}


def test_repeated_coefficients_weight_the_inputs_of_a_sum():
    text = "eltwise_param { operation: SUM coeff: 1 coeff: -1 stable_prod_grad: false }"
    assert one_layer("Eltwise", text).parameters == {"operation": "SUM", "coeff": [1, -1]}


@pytest.mark.parametrize(
    "text, multipliers",
    [
        ("param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }", (Multipliers(), Multipliers(2, 0))),
        ("blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0", (Multipliers(), Multipliers(2, 0))),
        ("blobs_lr: 0", (Multipliers(0, 1),)),
        ('param { name: "w" lr_mult: 3 }', (Multipliers(3, 1),)),
        ("", ()),
    ],
)
def test_multipliers_are_read_in_the_new_and_the_old_notation(text, multipliers):
    assert one_layer("InnerProduct", f"inner_product_param {{ num_output: 2 }} {text}").multipliers == multipliers


def test_layers_of_the_older_format_are_read():
    old = """
    layers { name: "c" type: CONVOLUTION bottom: "data" top: "c" blobs_lr: 1 blobs_lr: 2
             convolution_param { num_output: 2 kernel_size: 3 } }
    layers { name: "r" type: RELU bottom: "c" top: "c" }
    layers { name: "s" type: INNER_PRODUCT bottom: "c" top: "s" }
    layers { name: "loss" type: SOFTMAX_LOSS bottom: "s" bottom: "label" }
    """
    network = read(old)
    assert [one.type for one in network.layers] == [
        "Data", "Convolution", "ReLU", "InnerProduct", "SoftmaxWithLoss", "Softmax",
    ]  # fmt: skip
    assert find_layer(network, "c").multipliers == (Multipliers(1, 1), Multipliers(2, 1))


@pytest.mark.parametrize(
    "head",
    [
        'input: "picture" input_dim: 1 input_dim: 3 input_dim: 9 input_dim: 9',
        'input: "picture" input_shape { dim: 1 dim: 3 dim: 9 dim: 9 }',
    ],
)
def test_an_input_field_at_the_top_names_the_images(head):
    network = read(head + "\n" + (SCORES + LOSS).replace("data", "picture"))
    assert network.layers[0] == Layer("data", "Data", (), ("picture", "label"))


def test_an_input_layer_is_the_input_of_the_deployed_network():
    network = read(layer_text("in", "Input", "", "data", "input_param { shape { dim: 1 } }") + SCORES + LOSS)
    assert [(one.name, one.type, one.phases) for one in network.layers[:2]] == [
        ("data", "Data", ("train", "val")),
        ("in", "Input", ("deploy",)),
    ]


CROPPED = layer_text("data", "Data", "", "data label", "transform_param { crop_size: 6 mirror: true mean_value: 104 }")


def test_crop_size_and_mirror_of_a_data_layer_are_read():
    network = read(CROPPED + SCORES + LOSS)
    assert network.input_shape == (3, 6, 6)
    assert network.layers[0] == Layer("data", "Data", (), ("data", "label"), {"crop_size": 6, "mirror": True})


def test_the_crop_size_of_the_form_overrides_the_crop_size_of_the_text():
    assert read(CROPPED + SCORES + LOSS, crop_size=5).input_shape == (3, 5, 5)
    assert read(SCORES + LOSS, crop_size=5).layers[0].parameters == {"crop_size": 5}
    with pytest.raises(BadNetwork, match=r"^crop_size 9 does not fit the images, 8×8$"):
        read(CROPPED + SCORES + LOSS, crop_size=9)


def test_the_crop_size_of_the_text_is_reduced_to_smaller_images():
    assert read(CROPPED + SCORES + LOSS, (3, 7, 4)).input_shape == (3, 4, 4)


def test_an_accuracy_layer_with_a_top_k_above_the_number_of_categories_is_left_out():
    top5 = layer_text("top5", "Accuracy", "output label", "top5", "accuracy_param { top_k: 5 }")
    assert [one.name for one in read(SCORES + LOSS + top5, categories=5).layers if one.type == "Accuracy"] == ["top5"]
    assert not [one for one in read(SCORES + LOSS + top5, categories=4).layers if one.type == "Accuracy"]


def test_a_generic_network_keeps_its_outputs_and_needs_num_output_in_every_layer():
    text = inner_product("points", "data", 2) + layer_text("loss", "EuclideanLoss", "points label", "loss")
    network = read(text, categories=None, label_shape=(2, 1, 1))
    assert network.outputs("deploy") == ["points"]
    assert (network.label_shape, find_layer(network, "loss").phases) == ((2, 1, 1), ("train", "val"))
    with pytest.raises(
        BadNetwork, match=r"^layer hidden \(type InnerProduct, line 1\): InnerProduct needs num_output$"
    ):
        read(SCORES + LOSS, categories=None)


def test_layers_that_need_a_label_are_not_deployed():
    text = inner_product("a", "data", 1)
    text += layer_text("halves", "Slice", "label", "one other", "slice_param { slice_point: 1 }")
    text += layer_text("loss", "EuclideanLoss", "a one", "loss") + layer_text("quiet", "Silence", "other", "")
    network = read(text, categories=None, label_shape=(2, 1, 1))
    assert {one.name for one in network.layers if "deploy" in one.phases} == {"data", "a"}


def test_images_and_labels_can_come_from_two_data_layers():
    text = layer_text("images", "Data", "", "data", 'include { stage: "train" }')
    text += layer_text("points", "Data", "", "label", 'transform_param { scale: 0.5 } include { stage: "train" }')
    text += inner_product("a", "data", 2) + layer_text("loss", "EuclideanLoss", "a label", "loss")
    network = read(text, categories=None, label_shape=(2, 1, 1))
    assert network.layers[0] == Layer("images", "Data", (), ("data", "label"))
    assert network.layers[1] == Layer(
        "images/label/scale", "Power", ("label",), ("label",), {"scale": 0.5}, phases=("train", "val")
    )


def test_the_batch_size_comes_from_the_data_layer_for_training():
    assert prototxt.batch_size(LENET) == 64
    assert prototxt.batch_size(SCORES) is None
    with pytest.raises(BadNetwork, match=r"^layer train-data \(type Data, line 3\): batch_size must be a whole number"):
        prototxt.batch_size(LENET.replace("batch_size: 64", "batch_size: 0"))


@pytest.mark.parametrize("mark", ["\ufeff", ""], ids=["with a byte order mark", "without one"])
def test_a_byte_order_mark_before_a_text_changes_nothing(mark):
    assert read(mark + SCORES + LOSS) == read(SCORES + LOSS)


def test_a_byte_order_mark_does_not_shift_the_column_in_an_error():
    with pytest.raises(BadNetwork, match="line 1, column 7"):
        read("\ufefflayer ]")


TRAIN_LOSS = layer_text("loss", "SoftmaxWithLoss", "output label", "loss", "include { phase: TRAIN }")
VAL_ACCURACY = layer_text("accuracy", "Accuracy", "output label", "accuracy", "include { phase: TEST }")


def test_a_loss_for_training_is_used_in_validation_if_validation_has_no_loss():
    network = read(SCORES + TRAIN_LOSS + VAL_ACCURACY)
    network.check_trainable("train", "val")
    assert find_layer(network, "loss").phases == ("train", "val")
    assert network.outputs("deploy") == ["softmax"]


def test_a_loss_for_training_is_not_used_in_validation_if_validation_has_its_own():
    other = layer_text("other", "SoftmaxWithLoss", "output label", "other", "include { phase: TEST }")
    network = read(SCORES + TRAIN_LOSS + other)
    assert [find_layer(network, name).phases for name in ("loss", "other")] == [("train",), ("val",)]


def test_a_loss_whose_input_exists_in_training_only_is_not_used_in_validation():
    auxiliary = inner_product("aux", "data", 4, "include { phase: TRAIN }")
    deployed = layer_text("softmax", "Softmax", "output", "softmax", 'include { stage: "deploy" }')
    network = read(SCORES + auxiliary + TRAIN_LOSS.replace("output", "aux") + VAL_ACCURACY + deployed)
    with pytest.raises(BadNetwork, match="can't be validated: it has no loss"):
        network.check_trainable("train", "val")


def test_hints_of_nvidia_caffe_for_the_whole_network_change_nothing():
    hints = "default_forward_type: FLOAT16 default_backward_math: FLOAT global_grad_scale: 1000.0\n"
    assert read(hints + SCORES + LOSS) == read(SCORES + LOSS)
