"""Maps of what speaks for a category, on networks whose scores are simple formulas."""

import numpy as np
import pytest

from inference.engine.saliency import class_activation_map, deletion_and_insertion, occlusion_map, scaled


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def scores_of_corner(images):
    """The scores of a network that sees category 1 the more, the brighter the upper left quarter of the image is."""
    height, width = images.shape[1:3]
    bright = images[:, : height // 2, : width // 2].mean(axis=(1, 2, 3)) / 20
    return softmax(np.stack([np.full(len(images), 5.0), bright], axis=1)).astype(np.float32)


@pytest.fixture
def noise():
    return np.random.default_rng(1).integers(100, 256, (24, 36, 3), dtype=np.uint8)


def test_covering_finds_the_part_of_the_image_that_a_score_rests_on(noise):
    noise[12:] = 0
    found = occlusion_map(scores_of_corner, noise, 1)
    assert found.shape == (24, 36)
    inside = found[:10, :16]
    assert inside.min() > 0
    assert np.abs(found[20:, 26:]).max() < inside.min() / 10


def test_a_score_of_nearly_one_still_has_a_map(noise):
    certain = noise.copy()
    certain[:12, :18] = 255
    certain[12:] = 0
    assert occlusion_map(scores_of_corner, certain, 1)[:10, :16].min() > 0


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 3), (300, 7, 1)])
def test_images_of_any_shape_have_a_map(shape):
    image = np.random.default_rng(5).integers(0, 256, shape, dtype=np.uint8)
    brightness = lambda images: softmax(np.stack([images.mean(axis=(1, 2, 3)) / 50, np.ones(len(images))], axis=1))  # noqa: E731
    assert np.isfinite(occlusion_map(brightness, image, 0)).all()


def test_a_good_map_has_a_lower_deletion_and_a_higher_insertion_than_its_opposite(noise):
    noise[:12, :18] = 255
    noise[12:] = 0
    good = occlusion_map(scores_of_corner, noise, 1)
    deletion, insertion = deletion_and_insertion(scores_of_corner, noise, good, 1)
    assert deletion < insertion
    bad_deletion, bad_insertion = deletion_and_insertion(scores_of_corner, noise, -good, 1)
    assert deletion < bad_deletion
    assert insertion > bad_insertion


def test_a_class_activation_map_sums_to_the_logit_of_its_category():
    rng = np.random.default_rng(2)
    features, weights, bias = rng.normal(size=(8, 3, 4)), rng.normal(size=(5, 8)), rng.normal(size=5)
    logits = weights @ features.mean(axis=(1, 2)) + bias
    found = class_activation_map(features, weights, bias, softmax(logits), 2)
    assert found.mean() + bias[2] == pytest.approx(logits[2], rel=1e-5)
    assert class_activation_map(features, weights, None, softmax(logits), 2) is None


def test_a_category_with_a_channel_of_its_own_has_that_channel_as_its_map():
    features = np.random.default_rng(3).normal(size=(5, 3, 4))
    found = class_activation_map(features, None, None, softmax(features.mean(axis=(1, 2))), 4)
    np.testing.assert_allclose(found, features[4], rtol=1e-6)


def test_a_map_keeps_its_mean_at_another_size():
    values = np.random.default_rng(4).random((8, 12), dtype=np.float32)
    assert scaled(values, 4, 6).mean() == pytest.approx(values.mean(), abs=0.02)
