"""Calibration of trained networks, on each engine: fitted on one half of the images, measured on the other."""

import numpy as np
import pytest
from PIL import Image

from inference.engine.classification_metrics import ClassificationMetrics
from inference.engine.temperature import calibrated
from models_app.networks import standard
from tests.support.samples.engine_samples import engine_of
from tests.support.samples.imagedb_samples import digits
from tests.support.samples.training_samples import dropout_network, softmax_network

pytestmark = pytest.mark.usefixtures("engine_name")
TRAINED, STEPS, BATCH = 200, 150, 20
NETWORKS = {
    "softmax": (softmax_network, 0.2),
    "dropout": (dropout_network, 0.05),
    "lenet": (lambda: standard("lenet", (1, 16, 16), 10), 0.01),
}


@pytest.fixture(scope="module", params=NETWORKS)
def held_out(engine_name, request):
    """The true categories of 1,500 digits, and their scores by a network that learned 200 others by heart."""
    make, rate = NETWORKS[request.param]
    network, (images, labels) = make(), digits()
    resized = [np.asarray(Image.fromarray(image).resize(network.input_shape[:0:-1])) for image in images]
    pixels, labels = np.stack(resized)[:, None], labels.astype(np.float32)
    engine = engine_of(network, batch_size=BATCH)
    engine.load_weights(network.initial_weights(1))
    rng = np.random.default_rng(1)
    for _ in range(STEPS):
        chosen = rng.choice(TRAINED, BATCH, replace=False)
        engine.train_batch(pixels[chosen], labels[chosen], rate)
    batches = range(TRAINED, TRAINED + 1500, BATCH)
    scores = np.concatenate([engine.forward(pixels[i : i + BATCH])["softmax"] for i in batches])
    return labels[TRAINED : TRAINED + 1500].astype(int), scores


def figures_of(truths, scores, *fitted):
    metrics = ClassificationMetrics(10, *fitted)
    metrics.add(truths, scores)
    return metrics.figures()


def test_the_calibration_error_of_other_images_is_lower_and_no_prediction_changes(held_out):
    truths, scores = held_out
    fitted = figures_of(truths[::2], scores[::2])
    measured = figures_of(truths[1::2], scores[1::2], fitted.temperature, fitted.unsure_below)
    assert measured.accuracy > 0.7
    assert measured.calibrated_error < 0.8 * measured.calibration_error
    changed = calibrated(scores, fitted.temperature)
    assert np.array_equal(changed.argmax(axis=1), scores.argmax(axis=1))
    assert figures_of(truths[1::2], changed[1::2]).accuracy == measured.accuracy
