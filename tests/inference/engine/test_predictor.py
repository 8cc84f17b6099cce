"""The predictor computes right scores for concurrent requests, and the cache keeps predictors loaded."""

import gc
import os
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from inference import cache
from inference.engine.predictor import Predictor, ranked
from models_app import networks
from models_app.networks.export.network_onnx import write_onnx
from tests.support.server import wait_until

CATEGORIES = ["cat", "dog", "emu"]


@pytest.fixture
def onnx_file(tmp_path):
    """A LeNet with random weights for 28×28 grayscale and three categories."""
    network = networks.standard("lenet", (1, 28, 28), 3)
    write_onnx(network, network.initial_weights(7), tmp_path / "model.onnx", mean=None, labels=CATEGORIES)
    return tmp_path / "model.onnx"


@pytest.fixture
def images():
    return np.random.default_rng(3).integers(0, 256, (20, 28, 28, 1), dtype=np.uint8)


def test_scores_are_probabilities(onnx_file, images):
    scores = Predictor(onnx_file).scores(images)
    assert scores.shape == (20, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.slow
def test_a_predictor_runs_few_large_or_many_small_images_at_once(onnx_file, tmp_path):
    network = networks.standard("resnet18", (3, 224, 224), 3)
    write_onnx(network, network.initial_weights(7), tmp_path / "large.onnx", mean=None, labels=CATEGORIES)
    assert (Predictor(onnx_file).most_images, Predictor(tmp_path / "large.onnx").most_images) == (64, 8)


def test_each_of_many_threads_gets_the_scores_of_its_own_image(onnx_file, images):
    predictor = Predictor(onnx_file)
    alone = predictor.scores(images)
    with ThreadPoolExecutor(20) as pool:
        together = list(pool.map(lambda image: predictor.scores(image[None])[0], images))
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_a_predictor_that_nobody_holds_is_freed_at_once(onnx_file, images):
    predictor = Predictor(onnx_file)
    predictor.scores(images)
    threads, remaining = threading.active_count(), weakref.ref(predictor)
    gc.disable()
    try:
        del predictor
        assert remaining() is None
    finally:
        gc.enable()
    assert threading.active_count() == threads


def test_an_exception_of_a_run_reaches_its_caller_and_leaves_the_predictor_usable(onnx_file, images):
    predictor = Predictor(onnx_file)
    with pytest.raises(Exception, match="Got invalid dimensions"):
        predictor.scores(images[:, :5])
    assert predictor.scores(images[:1]).shape == (1, 3)


def test_ranked_gives_percentages_with_two_decimals_best_first():
    scores = np.array([0.1, 0.72346, 0.17654], dtype=np.float32)
    assert ranked(scores, CATEGORIES) == [("dog", 72.35), ("emu", 17.65), ("cat", 10.0)]


def test_ranked_gives_at_most_five_categories():
    scores = np.linspace(0, 1, 8)
    assert [name for name, _ in ranked(scores, list("abcdefgh"))] == list("hgfed")


def test_a_snapshot_is_loaded_once_and_stays_loaded(onnx_file):
    assert cache.predictor(onnx_file) is cache.predictor(onnx_file)


def test_a_replaced_model_file_is_loaded_again(onnx_file, images):
    before = cache.predictor(onnx_file)
    network = networks.standard("lenet", (1, 28, 28), 2)
    write_onnx(network, network.initial_weights(8), onnx_file, mean=None, labels=CATEGORIES[:2])
    after = cache.predictor(onnx_file)
    assert (before.scores(images[:1]).shape, after.scores(images[:1]).shape) == ((1, 3), (1, 2))


@pytest.fixture
def copies(onnx_file, tmp_path):
    """One file more than the cache keeps loaded."""
    files = [tmp_path / f"{i}.onnx" for i in range(cache.MAX_LOADED + 1)]
    for file in files:
        file.write_bytes(onnx_file.read_bytes())
    return files


def test_the_cache_keeps_the_most_recently_used_predictors(copies):
    first, second, *others = [cache.predictor(file) for file in copies[:-1]]
    assert cache.predictor(copies[0]) is first
    cache.predictor(copies[-1])
    assert [cache.predictor(file) for file in copies[2:-1]] == others
    assert cache.predictor(copies[0]) is first
    assert cache.predictor(copies[1]) is not second


def test_the_cache_drops_predictors_that_exceed_its_bytes(copies, monkeypatch):
    monkeypatch.setattr(cache, "MAX_BYTES", 2.5 * copies[0].stat().st_size)
    first, second, third = [cache.predictor(file) for file in copies[:3]]
    assert [cache.predictor(file) for file in copies[1:3]] == [second, third]
    assert cache.predictor(copies[0]) is not first


def test_a_snapshot_that_loads_slowly_does_not_block_another(onnx_file, tmp_path):
    slow = tmp_path / "slow.onnx"
    os.mkfifo(slow)  # a reader waits until somebody writes

    def load(file):  # ONNX Runtime 1.23, of Python 3.10, holds the GIL while it reads a file
        raise ValueError(file.read_bytes())

    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(cache.predictor, slow, load)
        wait_until(lambda: any(key.onnx_file == slow for key in cache._loaded))
        assert cache.predictor(onnx_file).scores(np.zeros((1, 28, 28, 1), np.uint8)).shape == (1, 3)
        assert not loading.done()
        slow.write_bytes(b"no model")
        assert loading.exception(10)
    assert not any(key.onnx_file == slow for key in cache._loaded)
