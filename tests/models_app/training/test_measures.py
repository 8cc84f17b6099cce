"""Tally: the losses and accuracies that it computes from scores and labels, and the images that it counts."""

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.networks import Layer, Network
from models_app.training.engines.interface import NO_LABEL
from models_app.training.engines.score_buffer import ScoreBuffer
from models_app.training.measures import Tally
from tests.support.samples.engine_samples import engine_of, random_images, random_weights
from tests.support.samples.network_samples import DATA, network

LABELLED = ("train", "val")
IP = Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 3})
SCORES = np.array([[2, 0, 1], [0, 3, 1], [1, 0, 0], [0, 0, 5]], np.float32)
LABELS = np.array([0, 1, 2, 2], np.float32)
READ = ("ip", "ip")  # the layer and its top


class PlainScores(ScoreBuffer):
    """Keeps scores as NumPy's arrays."""

    def hold(self, place, results):
        return [result.copy() for result in results]

    def numbers(self, results):
        return np.concatenate(results)


def criterion(kind, name, bottoms=("ip", "label"), **parameters) -> Layer:
    return Layer(name, kind, bottoms, (name,), parameters, phases=LABELLED)


def averages_of(layers, labels, label_shape=(), scores=SCORES, **more):
    """The losses and accuracies that the layers behind `ip` compute from these scores."""
    tally = Tally(Network("measured", (3, 2, 2), (DATA, IP, *layers), label_shape), "val")
    tally.add({READ: scores, **more}, labels)
    return tally.averages()


def cross_entropy(scores, labels):
    odds = np.exp(scores.astype(float))
    return -np.log(odds[np.arange(len(labels)), labels.astype(int)] / odds.sum(axis=1))


def test_one_loss_and_one_accuracy_are_reported_without_further_outputs():
    scores = averages_of([criterion("SoftmaxWithLoss", "loss"), criterion("Accuracy", "acc")], LABELS)
    assert (scores.loss, scores.accuracy) == pytest.approx((cross_entropy(SCORES, LABELS).mean(), 0.75))
    assert scores.outputs == {}


def test_several_losses_add_up_by_their_weight_and_are_reported_one_by_one_without_it():
    scores = averages_of(
        [criterion("SoftmaxWithLoss", "aux", loss_weight=0.3), criterion("SoftmaxWithLoss", "loss")], LABELS
    )
    one = cross_entropy(SCORES, LABELS).mean()
    assert scores.loss == pytest.approx(1.3 * one)
    assert scores.outputs == pytest.approx({"aux": one, "loss": one})


def test_the_accuracy_comes_from_the_last_accuracy_layer_with_a_top_k_of_one():
    layers = [
        criterion("Accuracy", "early", ignore_label=2),
        criterion("Accuracy", "top1"),
        criterion("Accuracy", "top2", top_k=2),
    ]
    scores = averages_of([criterion("SoftmaxWithLoss", "loss"), *layers], LABELS)
    assert scores.accuracy == 0.75
    assert scores.outputs == {"early": 1.0, "top1": 0.75, "top2": 0.75}


def test_ignored_labels_count_in_no_average():
    loss = criterion("SoftmaxWithLoss", "loss", ignore_label=2)
    scores = averages_of([loss], LABELS)
    assert scores.loss == pytest.approx(cross_entropy(SCORES[:2], LABELS[:2]).mean())
    assert scores.accuracy == 1.0
    assert averages_of([loss], np.full(4, 2, np.float32)).loss == 0


@pytest.mark.parametrize("label", [-1, 3, 255])
def test_a_label_that_is_no_category_is_a_bad_input(label):
    with pytest.raises(BadInput, match=f"loss: the label {label} is none of its 3 categories, 0 to 2"):
        averages_of([criterion("SoftmaxWithLoss", "loss")], np.array([0, 1, 2, label], np.float32))


def test_every_pixel_of_a_label_image_counts():
    scores = np.random.default_rng(0).normal(size=(2, 3, 2, 2)).astype(np.float32)
    labels = np.array([[0, 1, 2, 2], [1, 1, 0, 2]], np.float32)
    rows = scores.reshape(2, 3, 4).transpose(0, 2, 1).reshape(8, 3)
    layers = [
        Layer("map", "Convolution", ("data",), ("map",), {"num_output": 3, "kernel_size": 1}),
        criterion("SoftmaxWithLoss", "loss", ("map", "label")),
    ]
    tally = Tally(Network("measured", (3, 2, 2), (DATA, *layers), (1, 2, 2)), "val")
    tally.add({("map", "map"): scores}, labels.reshape(2, 1, 2, 2))
    got = tally.averages()
    assert got.loss == pytest.approx(cross_entropy(rows, labels.ravel()).mean())
    assert got.accuracy == pytest.approx((rows.argmax(axis=1) == labels.ravel()).mean())


def test_a_euclidean_loss_is_half_the_sum_of_the_squared_differences_of_an_image():
    labels = np.random.default_rng(0).normal(size=(4, 3, 1, 1)).astype(np.float32)
    expected = ((SCORES - labels[:, :, 0, 0]) ** 2).sum() / 2 / 4
    scores = averages_of([criterion("EuclideanLoss", "loss")], labels, (3, 1, 1))
    assert scores.loss == pytest.approx(expected, rel=1e-6)
    assert scores.accuracy is None


def test_a_sigmoid_loss_stays_finite_and_adds_up_the_outputs_of_an_image():
    scores = np.array([[800, -800, 0]], np.float32)
    got = averages_of([criterion("SigmoidCrossEntropyLoss", "loss")], np.array([[1, 1, 1]], np.float32), (3,), scores)
    assert got.loss == pytest.approx(800 + np.log(2))


def test_averages_cover_all_images_since_they_were_last_read():
    tally = Tally(network(IP, criterion("SoftmaxWithLoss", "loss")), "val")
    tally.add({READ: SCORES[:3]}, LABELS[:3])
    tally.add({READ: SCORES[3:]}, LABELS[3:])
    assert tally.averages().loss == pytest.approx(cross_entropy(SCORES, LABELS).mean())
    tally.add({READ: SCORES[3:]}, LABELS[3:])
    assert tally.averages().loss == pytest.approx(cross_entropy(SCORES[3:], LABELS[3:]).mean())


@pytest.mark.usefixtures("engine_name")
@pytest.mark.parametrize("kind", ["EuclideanLoss", "SigmoidCrossEntropyLoss"])
def test_images_that_fill_up_a_batch_count_in_no_loss_of_float_labels(kind):
    half = Layer("half", "Power", ("label",), ("half",), {"scale": 0.5}, phases=LABELLED)
    layers = (Layer("small", "Power", ("data",), ("small",), {"scale": 0.01}), half)
    scores = Layer("scores", "InnerProduct", ("small",), ("scores",), {"num_output": 2})
    sample = Network(
        "floats", (3, 4, 4), (DATA, *layers, scores, criterion(kind, "loss", ("scores", "half"))), (2, 1, 1)
    )
    images, weights = random_images(sample, 4), random_weights(sample)
    labels = np.random.default_rng(0).uniform(0, 1, (4, 2, 1, 1)).astype(np.float32)
    losses = []
    for size, filled in ((2, labels[:2]), (4, np.concatenate([labels[:2], np.full_like(labels[2:], NO_LABEL)]))):
        engine = engine_of(sample, batch_size=size)
        engine.load_weights(weights)
        engine.evaluate_batch(images[:size], filled)
        losses.append(engine.evaluation_scores().loss)
    assert losses[0] == pytest.approx(losses[1]) != 0


@pytest.mark.usefixtures("engine_name")
def test_a_network_can_learn_its_own_input_without_labels():
    sample = network(
        Layer("small", "Power", ("data",), ("small",), {"scale": 0.01}),
        Layer("code", "Convolution", ("small",), ("code",), {"num_output": 2, "kernel_size": 2, "stride": 2}),
        Layer("again", "Deconvolution", ("code",), ("again",), {"num_output": 3, "kernel_size": 2, "stride": 2}),
        criterion("EuclideanLoss", "loss", ("again", "small")),
    )
    engine, images, weights = engine_of(sample), random_images(sample, 4), random_weights(sample)
    engine.load_weights(weights)
    engine.evaluate_batch(images, LABELS)
    again = engine.forward(images)["again"]
    assert engine.evaluation_scores().loss == pytest.approx(((again - images * 0.01) ** 2).sum() / 8, rel=1e-4)


@pytest.mark.usefixtures("engine_name")
def test_a_loss_compares_a_value_before_a_later_layer_overwrites_it():
    sample = network(
        Layer("small", "Power", ("data",), ("small",), {"scale": 0.001}),
        Layer("ip", "InnerProduct", ("small",), ("ip",), {"num_output": 1}),
        criterion("EuclideanLoss", "raw"),
        Layer("squashed", "Sigmoid", ("ip",), ("ip",)),
        criterion("EuclideanLoss", "squashed_loss"),
    )
    engine, images, weights = engine_of(sample), random_images(sample, 4), random_weights(sample)
    engine.load_weights(weights)
    engine.evaluate_batch(images, LABELS)
    squashed = engine.forward(images)["ip"][:, 0]
    raw = np.log(squashed / (1 - squashed))
    expected = {name: ((x - LABELS) ** 2).sum() / 8 for name, x in (("raw", raw), ("squashed_loss", squashed))}
    assert engine.evaluation_scores().outputs == pytest.approx(expected, rel=1e-2)


def test_large_labels_are_measured_at_once_instead_of_buffered():
    layers = (
        Layer("cut", "Slice", ("label",), ("angle", "rest"), {"slice_point": [1]}, phases=LABELLED),
        Layer("quiet", "Silence", ("rest",), phases=LABELLED),
        Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 1}),
        criterion("EuclideanLoss", "loss", ("ip", "angle")),
    )
    labels = np.ones((4, 300_000, 1, 1), np.float32)
    tally = Tally(Network("large", (3, 2, 2), (DATA, *layers), labels.shape[1:]), "train")
    PlainScores([READ, ("cut", "angle")], labels.size, tally).keep([np.zeros((4, 1)), labels[:, :1]], labels)
    assert tally.averages().loss == 0.5


@pytest.mark.parametrize("normalization", ["VALID", "FULL", "BATCH_SIZE", "NONE"])
def test_buffered_batches_give_the_averages_of_batches_measured_one_by_one(normalization):
    layers = [criterion("SoftmaxWithLoss", "loss", normalization=normalization), criterion("Accuracy", "acc")]
    sample = Network("measured", (3, 2, 2), (DATA, IP, *layers))
    batches = [(SCORES, LABELS), (SCORES[::-1], LABELS), (-SCORES, np.array([2, 1, NO_LABEL, NO_LABEL], np.float32))]
    single, together = Tally(sample, "train"), Tally(sample, "train")
    kept = PlainScores([READ], SCORES.size + LABELS.size, together)
    for scores, labels in batches:
        single.add({READ: scores}, labels)
        kept.keep([scores], labels)
    kept.read()
    averages_together, averages_single = together.averages(), single.averages()
    assert averages_together.loss == pytest.approx(averages_single.loss)
    assert averages_together.accuracy == averages_single.accuracy > 0


@pytest.mark.usefixtures("engine_name")
def test_a_network_without_a_loss_in_validation_cannot_be_validated():
    loss = Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=("train",))
    sample = network(IP, loss)
    with pytest.raises(BadInput, match="can't be validated: it has no loss"):
        engine_of(sample).evaluate_batch(random_images(sample, 4), LABELS)
