"""Every engine: the scores that it measures, the weights that it leaves unchanged, the state that it keeps."""

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.networks import BadNetwork, Layer, Multipliers, Network
from models_app.training.engines.interface import NO_LABEL
from models_app.training.measures import Scores
from tests.support.samples.engine_samples import engine_of, random_images, random_weights
from tests.support.samples.network_samples import DATA, chain, network

pytestmark = pytest.mark.usefixtures("engine_name")

BATCH = 4
CATEGORIES = 6
LABELS = np.array([0, 1, 2, 3], np.float32)

SCALED = Layer("scaled", "Power", ("data",), ("scaled",), {"scale": 0.01})
SCORES = Layer("ip", "InnerProduct", ("scaled",), ("ip",), {"num_output": CATEGORIES})
LOSS = Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=("train", "val"))
TOP_3 = Layer("top3", "Accuracy", ("ip", "label"), ("top3",), {"top_k": 3}, phases=("val",))


def classifier(*between: Layer, scores=SCORES) -> Network:
    return network(SCALED, *between, scores, LOSS, TOP_3, input_shape=(2, 5, 5))


def prepare(sample: Network):
    """An engine with random weights, a batch of images, and the weights."""
    engine, weights = engine_of(sample, batch_size=BATCH), random_weights(sample)
    engine.load_weights(weights)
    return engine, random_images(sample, BATCH), weights


def expected_scores(scores, labels):
    """Loss, accuracy and top-3 accuracy of these scores, in float64."""
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    chosen = (odds / odds.sum(axis=1, keepdims=True))[np.arange(len(labels)), labels.astype(int)]
    rank = (scores > scores[np.arange(len(labels)), labels.astype(int)][:, np.newaxis]).sum(axis=1)
    return {"loss": -np.log(chosen).mean(), "accuracy": (rank < 1).mean(), "top3": (rank < 3).mean()}


def flat(scores: Scores) -> dict[str, float]:
    return {"loss": scores.loss, "accuracy": scores.accuracy, **scores.outputs}


def test_loss_and_accuracies_follow_from_the_scores_of_the_network():
    engine, images, _ = prepare(classifier())
    engine.evaluate_batch(images, LABELS)
    scores = engine.forward(images)["ip"].astype(float)
    assert flat(engine.evaluation_scores()) == pytest.approx(expected_scores(scores, LABELS), rel=1e-5)


def test_images_that_fill_up_a_batch_count_in_no_score():
    engine, images, _ = prepare(classifier())
    labels = np.array([5, 1, NO_LABEL, NO_LABEL], np.float32)
    engine.evaluate_batch(images, labels)
    scores = engine.forward(images)["ip"].astype(float)[:2]
    assert flat(engine.evaluation_scores()) == pytest.approx(expected_scores(scores, labels[:2]), rel=1e-5)


def test_reading_the_scores_resets_them():
    engine, images, _ = prepare(classifier())
    engine.evaluate_batch(images, LABELS)
    first = engine.evaluation_scores()
    engine.evaluate_batch(images, LABELS)
    engine.evaluate_batch(images, LABELS)
    assert flat(engine.evaluation_scores()) == pytest.approx(flat(first))


def test_validation_and_the_deployed_network_use_the_current_weights_of_a_training():
    convolution = Layer("conv", "Convolution", ("scaled",), ("conv",), {"num_output": 3, "kernel_size": 3})
    relu = Layer("relu", "ReLU", ("conv",), ("conv",))
    scores = Layer("ip", "InnerProduct", ("conv",), ("ip",), {"num_output": CATEGORIES})
    sample = classifier(convolution, relu, scores=scores)
    engine, images, _ = prepare(sample)
    before = engine.forward(images)["ip"]
    engine.evaluate_batch(images, LABELS)
    engine.evaluation_scores()
    for _ in range(5):
        engine.train_batch(images, LABELS, 0.1)
    fresh = engine_of(sample, batch_size=BATCH)
    fresh.load_weights(engine.weights())
    for one in (engine, fresh):
        one.evaluate_batch(images, LABELS)
    assert engine.evaluation_scores() == fresh.evaluation_scores()
    assert (engine.forward(images)["ip"] == fresh.forward(images)["ip"]).all()
    assert np.abs(engine.forward(images)["ip"] - before).max() > 0.01


def test_the_first_of_equal_scores_is_the_prediction():
    sample = classifier()
    engine = engine_of(sample, batch_size=BATCH)
    engine.load_weights({name: np.zeros_like(array) for name, array in random_weights(sample).items()})
    engine.evaluate_batch(random_images(sample, BATCH), LABELS)
    assert flat(engine.evaluation_scores()) == pytest.approx(
        {"loss": np.log(CATEGORIES), "accuracy": 0.25, "top3": 0.75}
    )


def test_a_frozen_layer_keeps_its_weights_and_has_no_optimizer_state():
    frozen = Layer(
        "first", "InnerProduct", ("scaled",), ("first",), {"num_output": 3}, (Multipliers(0), Multipliers(0))
    )
    scores = Layer("ip", "InnerProduct", ("first",), ("ip",), {"num_output": CATEGORIES})
    engine, images, before = prepare(classifier(frozen, scores=scores))
    engine.train_batch(images, LABELS, 0.1)
    after = engine.weights()
    assert {name for name in before if (before[name] == after[name]).all()} == {"first.weight", "first.bias"}
    assert set(engine.optimizer_state()) == {"steps", "batches", "ip.weight.momentum", "ip.bias.momentum"}


def test_running_averages_of_batch_norm_include_every_batch_from_the_first():
    norm = Layer("norm", "BatchNorm", ("scaled",), ("norm",), {"moving_average_fraction": 0.75})
    scores = Layer("ip", "InnerProduct", ("norm",), ("ip",), {"num_output": CATEGORIES})
    sample = classifier(norm, scores=scores)
    engine = engine_of(sample, batch_size=BATCH)
    engine.load_weights(sample.initial_weights(0))
    batches = [random_images(sample, BATCH, seed) for seed in range(2)]
    for images in batches:
        engine.train_batch(images, LABELS, 0.0)
    weights = engine.weights()
    means = [(images * 0.01).mean(axis=(0, 2, 3)) for images in batches]
    assert weights["norm.factor"] == pytest.approx(1 - 0.75**2)
    expected = (0.25 * 0.75 * means[0] + 0.25 * means[1]) / (1 - 0.75**2)
    np.testing.assert_allclose(weights["norm.mean"] / weights["norm.factor"], expected, rtol=1e-4)


def test_a_batch_of_one_image_whose_channels_have_one_value_is_normalized_to_the_bias():
    pool = Layer("pool", "Pooling", ("scaled",), ("pool",), {"pool": "AVE", "global_pooling": True})
    norm = Layer("norm", "BatchNorm", ("pool",), ("norm",))
    scores = Layer("ip", "InnerProduct", ("norm",), ("ip",), {"num_output": CATEGORIES})
    sample = classifier(pool, norm, scores=scores)
    engine = engine_of(sample, batch_size=1)
    engine.load_weights(sample.initial_weights(0))
    engine.train_batch(random_images(sample, 1), LABELS[:1], 0.1)
    assert engine.training_scores().loss == pytest.approx(np.log(CATEGORIES))
    assert engine.weights()["norm.variance"] == pytest.approx(0, abs=1e-9)


def test_resumed_running_averages_end_with_the_same_bits():
    """Resumes after 4 of 12 batches, where a factor rounded to float32 would lead to other bits."""
    norm = Layer("norm", "BatchNorm", ("scaled",), ("norm",))
    sample = classifier(norm, scores=Layer("ip", "InnerProduct", ("norm",), ("ip",), {"num_output": CATEGORIES}))
    whole, first, second = (engine_of(sample, batch_size=BATCH) for _ in range(3))
    batches = [random_images(sample, BATCH, seed) for seed in range(12)]
    for engine, part in ((whole, batches), (first, batches[:4])):
        engine.load_weights(sample.initial_weights(0))
        for images in part:
            engine.train_batch(images, LABELS, 0.01)
    second.load_weights(first.weights())
    second.load_optimizer_state(first.optimizer_state())
    for images in batches[4:]:
        second.train_batch(images, LABELS, 0.01)
    expected = {**whole.weights(), **whole.optimizer_state()}
    got = {**second.weights(), **second.optimizer_state()}
    assert [name for name, array in expected.items() if (got[name] != array).any()] == []


def test_an_optimizer_state_without_the_history_of_running_averages_is_refused():
    norm = Layer("norm", "BatchNorm", ("scaled",), ("norm",))
    engine, _, _ = prepare(classifier(norm, scores=Layer("ip", "InnerProduct", ("norm",), ("ip",), {"num_output": 6})))
    state = {name: array for name, array in engine.optimizer_state().items() if not name.startswith("norm")}
    with pytest.raises(BadInput, match="running averages"):
        engine.load_optimizer_state(state)


def test_running_averages_with_use_global_stats_stay_unchanged():
    norm = Layer("norm", "BatchNorm", ("scaled",), ("norm",), {"use_global_stats": True})
    scores = Layer("ip", "InnerProduct", ("norm",), ("ip",), {"num_output": CATEGORIES})
    engine, images, before = prepare(classifier(norm, scores=scores))
    engine.train_batch(images, LABELS, 0.1)
    for role in ("mean", "variance", "factor"):
        assert engine.weights()[f"norm.{role}"] == pytest.approx(before[f"norm.{role}"])


def test_the_losses_of_several_heads_add_up_by_their_weight():
    second = Layer(
        "loss2", "SoftmaxWithLoss", ("ip", "label"), ("loss2",), {"loss_weight": 0.5}, phases=("train", "val")
    )
    one, both = classifier(), network(SCALED, SCORES, LOSS, second, input_shape=(2, 5, 5))
    losses = []
    for sample in (one, both):
        engine, images, _ = prepare(sample)
        engine.evaluate_batch(images, LABELS)
        losses.append(engine.evaluation_scores().loss)
    assert losses[1] == pytest.approx(1.5 * losses[0])


def test_a_network_without_a_loss_is_refused_when_a_batch_is_trained():
    sample = chain(("InnerProduct", {"num_output": 3}))
    engine, images, _ = prepare(sample)
    with pytest.raises(BadNetwork, match="it has no loss"):
        engine.train_batch(images, LABELS, 0.1)


@pytest.mark.parametrize("settings", [{}, {"gradient_clip": 1.0, "ema": 0.9}], ids=str)
def test_a_network_without_weights_is_trained_and_measured(settings):
    near = Layer("near", "EuclideanLoss", ("scaled", "label"), ("near",), phases=("train", "val"))
    sample = Network("same", (1, 2, 2), (DATA, SCALED, near), (1, 2, 2))
    engine = engine_of(sample, batch_size=BATCH, **settings)
    engine.load_weights({})
    images = random_images(sample, BATCH)
    for _ in range(2):
        engine.train_batch(images, np.zeros(images.shape, np.float32), 0.1)
    assert engine.training_scores().loss == pytest.approx(np.square(images * 0.01).sum() / 2 / BATCH, rel=1e-5)
    assert engine.weights() == {}


def test_scores_that_are_images_of_one_pixel_can_be_compared_with_labels():
    scores = Layer("ip", "Convolution", ("scaled",), ("ip",), {"num_output": CATEGORIES, "kernel_size": 5})
    engine, images, _ = prepare(Network("sample", (2, 5, 5), (DATA, SCALED, scores, LOSS)))
    engine.train_batch(images, LABELS, 0.01)
    assert 0 < engine.training_scores().loss < 10
