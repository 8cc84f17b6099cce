"""The file of features beside the records: what it holds, when it is computed anew, and when it goes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from digits_project.common.errors import Aborted
from models_app.training.data.pixel_file import HEADER_BYTES, only_writer
from models_app.training.features import feature_cache, passes
from models_app.training.trainer import train
from tests.support.samples.engine_samples import random_weights
from tests.support.samples.imagedb_samples import digits
from tests.support.samples.training_samples import (
    TRAIN_IMAGES,
    dropout_network,
    events_of_kind,
    softmax_network,
    write_digits_dataset,
)

pytestmark = pytest.mark.usefixtures("engine_name")

CROPPED = replace(dropout_network(), name="cropped", input_shape=(1, 6, 6))
ON_CROPS = {"network": CROPPED, "image_shape": (1, 8, 8), "use_mean": "none"}


def run(config):
    """The events of a training."""
    events = []
    train(config, events.append, lambda: None)
    return events


def computed(events):
    """Whether the features of each split were computed."""
    return [event["computed"] for event in events_of_kind(events, "features")]


def files_of(config, split="train") -> list[Path]:
    return sorted(Path(config.train_records).parent.glob(f"{split}-*.features"))


def stored(path: Path, *shape):
    """The features of the train split in a file, images × `shape`."""
    numbers = np.frombuffer(path.read_bytes()[HEADER_BYTES + 4 * TRAIN_IMAGES : -32], np.float32)
    return numbers.reshape(TRAIN_IMAGES, *shape)


def test_the_features_are_what_the_layers_below_the_head_compute(head_config):
    config = head_config(use_mean="none")
    run(config)
    weights, network = random_weights(dropout_network()), config.trained_network()
    factor = weights["norm.factor"]
    plain = weights | {f"norm.{name}": weights[f"norm.{name}"] / factor for name in ("mean", "variance")}
    expected = _convolved(network, plain)
    np.testing.assert_allclose(stored(files_of(config)[0], 8, 6, 6), expected, rtol=1e-4, atol=1e-5)


def _convolved(network, weights):
    """The layers of dropout_network() up to its ReLU, computed with NumPy."""
    pixels = digits()[0][:TRAIN_IMAGES].astype(np.float32) * 0.01
    windows = np.lib.stride_tricks.sliding_window_view(pixels, (3, 3), axis=(1, 2))
    values = np.einsum("nijkl,okl->noij", windows, weights["conv.weight"][:, 0]) + weights["conv.bias"][:, None, None]
    mean, variance = (weights[f"norm.{name}"][:, None, None] for name in ("mean", "variance"))
    eps = next(node.kind.eps for node in network.nodes("train") if node.layer.type == "BatchNorm")
    gain, bias = (weights[f"gain.{name}"][:, None, None] for name in ("weight", "bias"))
    return np.maximum((values - mean) / np.sqrt(variance + eps) * gain + bias, 0)


def damage(path, other):
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


def cut_short(path, other):
    path.write_bytes(path.read_bytes()[:-1])


def remove(path, other):
    path.unlink()


def exchange(path, other):
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize("spoil", [damage, cut_short, remove, exchange])
def test_a_file_that_is_spoiled_is_computed_again_to_the_same_bits(head_config, spoil):
    config = head_config()
    run(config)
    [path], [other] = files_of(config), files_of(config, "val")
    content = path.read_bytes()
    spoil(path, other)
    assert computed(run(head_config("again"))) == [True, False]
    assert path.read_bytes() == content


@pytest.mark.parametrize("other", [{"seed": 1}, {"use_mean": "none"}, {"network": replace(CROPPED, name="crop")} | {
    "image_shape": (1, 8, 8), "use_mean": "none"}])  # fmt: skip
def test_other_weights_another_mean_and_another_input_have_features_of_their_own(head_config, other):
    config = head_config()
    run(config)
    assert computed(run(head_config("other", **other))) == [True, True]
    assert len(files_of(config)) == 2
    assert computed(run(head_config("again"))) == [False, False]


def test_changed_records_have_new_features(head_config):
    config = head_config()
    run(config)
    write_digits_dataset(Path(config.train_records).parent)
    assert computed(run(head_config("again"))) == [True, True]


def test_the_number_of_threads_does_not_change_the_features(head_config):
    config = head_config(threads=1)
    run(config)
    [path] = files_of(config)
    content = path.read_bytes()
    path.unlink()
    assert computed(run(head_config("again", threads=3))) == [True, False]
    assert path.read_bytes() == content


def test_the_first_view_is_the_middle_crop_and_the_others_are_random_ones(head_config):
    one, three = head_config("one", **ON_CROPS), head_config("three", feature_views=3, **ON_CROPS)
    run(one)
    [alone] = files_of(one)
    events = run(three)
    assert [event["views"] for event in events_of_kind(events, "features")] == [3, 1]
    assert computed(events) == [True, False]
    [together] = set(files_of(one)) - {alone}
    views = stored(together, 3, -1)
    np.testing.assert_array_equal(views[:, :1], stored(alone, 1, -1))
    assert all((views[:, first] != views[:, second]).any() for first, second in [(0, 1), (0, 2), (1, 2)])


def test_images_that_enter_the_network_whole_have_one_view(head_config):
    events = run(head_config(feature_views=4))
    assert [event["views"] for event in events_of_kind(events, "features")] == [1, 1]


def test_augmentation_changes_all_views_but_the_first(head_config):
    plain, flipped = head_config("plain"), head_config("flipped", aug_flip="flipud", feature_views=3)
    run(plain)
    [alone] = files_of(plain)
    run(flipped)
    [together] = set(files_of(plain)) - {alone}
    views, unchanged = stored(together, 3, -1), stored(alone, -1)
    np.testing.assert_array_equal(views[:, 0], unchanged)
    same = [(views[:, view] == unchanged).all(axis=1).mean() for view in (1, 2)]
    assert all(0.2 < share < 0.8 for share in same)


def test_the_least_recently_used_features_of_a_dataset_are_removed(head_config, monkeypatch):
    monkeypatch.setattr(feature_cache, "MAX_FILES", 4)  # of two trainings
    first = head_config("first")
    run(first)
    [kept] = files_of(first)
    run(head_config("second", seed=1))
    run(head_config("again"))
    run(head_config("third", seed=2))
    assert kept in files_of(first)
    assert computed(run(head_config("second again", seed=1))) == [True, True]


def test_what_a_killed_trainer_left_unfinished_is_removed_unless_it_is_being_written(head_config, digits_folder):
    left, written = (digits_folder / f".train-{name}.features.part" for name in ("left", "written"))
    left.write_bytes(b"half")
    with only_writer(written, lambda: None):
        run(head_config())
        assert (left.exists(), written.exists()) == (False, True)


def test_an_aborted_pass_leaves_no_file(head_config, tmp_path):
    config = head_config()
    ticks = iter(range(3))

    def abort():
        if next(ticks, None) is None:
            raise Aborted("enough")

    with pytest.raises(Aborted):
        train(config, lambda event: None, abort)
    left = {path.name for folder in (tmp_path / "dataset", tmp_path / "model") for path in folder.iterdir()}
    assert {name for name in left if "features" in name or "onnx" in name} == set()
    assert computed(run(head_config("again"))) == [True, True]


def test_progress_rises_during_the_pass_and_goes_on_in_the_training(head_config, monkeypatch):
    monkeypatch.setattr(passes, "PROGRESS_SECONDS", 0.0)
    events = run(head_config(batch_size=4))
    fractions = [event["fraction"] for event in events_of_kind(events, "progress")]
    started = next(place for place, event in enumerate(events) if event["event"] == "started")
    during_the_pass = [event["fraction"] for event in events_of_kind(events[:started], "progress")]
    assert fractions == sorted(fractions)
    assert 0 < during_the_pass[0] < during_the_pass[-1] <= passes.PASS_SHARE
    assert fractions[-1] == 1


def test_a_network_without_weights_below_its_head_is_trained_whole(head_config):
    assert computed(run(head_config(network=softmax_network()))) == []
