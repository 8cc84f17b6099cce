"""The seed determines a training to the bit: a second run and a resumed run end with the same weights."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models_app.networks import Layer, Network, standard
from models_app.training.snapshots.snapshot_reader import read_snapshot
from models_app.training.trainer import train
from tests.support.samples.imagedb_samples import digits
from tests.support.samples.training_samples import (
    config_of,
    dropout_network,
    run_trainer,
    write_digits_dataset,
    write_records,
)

pytestmark = pytest.mark.usefixtures("engine_name")

LAST = "snapshots/epoch-2"


# Settings that could make two runs differ, beside those of `whole`.
OPTIMIZERS = {
    "ADAM": {"solver_type": "ADAM", "lr_policy": "plateau", "lr_plateau_patience": 1, "lr_plateau_gamma": 0.5,
             "val_interval": 0.25},
    "ADAMW": {"solver_type": "ADAMW", "lr_policy": "one_cycle", "weight_decay": 0.1, "gradient_clip": 0.5, "ema": 0.9},
    "SGD": {"momentum": 0.5, "lr_policy": "cosine", "lr_warmup": 50, "ema": 0.9},
}  # fmt: skip


@pytest.fixture(scope="module", params=OPTIMIZERS)
def whole(engine_name, dataset, tmp_path_factory, request):
    """The configuration of a finished training, on two threads, with every setting that could make two runs differ."""
    settings = OPTIMIZERS[request.param] | {"batch_size": 5, "batch_accumulation": 3}
    settings |= {"learning_rate": 0.01, "snapshot_interval": 0.75, "threads": 2}
    cropped = Layer("data", "Data", (), ("data", "label"), {"crop_size": 6, "mirror": True})
    layers = (cropped, *dropout_network().layers[1:])
    settings |= {"network": Network("sample", (1, 6, 6), layers).to_dict(), "image_shape": [1, 8, 8]}
    return run_to_end(config_of(dataset, tmp_path_factory.mktemp("whole"), **settings))


def run_to_end(config):
    status, _, log = run_trainer(config)
    assert status == 0, log
    return config


def assert_same_bits(first, second, snapshot=LAST):
    for part in (0, 1):  # weights, optimizer state
        one, other = (read_snapshot(Path(config.directory) / snapshot)[part] for config in (first, second))
        assert set(one) == set(other)
        assert all((one[name] == other[name]).all() for name in one)


def test_two_runs_with_one_seed_end_with_the_same_bits(whole, tmp_path):
    assert_same_bits(run_to_end(replace(whole, directory=str(tmp_path))), whole)


def test_another_seed_ends_with_other_weights(whole, tmp_path):
    other = replace(whole, directory=str(tmp_path), random_seed=2)
    train(other, lambda event: None, lambda: None)
    with pytest.raises(AssertionError):
        assert_same_bits(other, whole)


def test_a_resumed_training_ends_with_the_same_bits(whole, tmp_path):
    middle = f"{whole.directory}/snapshots/epoch-0.75"
    assert_same_bits(run_to_end(replace(whole, directory=str(tmp_path), resume_from=middle)), whole)


def test_two_runs_of_lenet_end_with_the_same_bits(tmp_path):
    write_digits_dataset(tmp_path)
    images, labels = digits()
    large = np.pad(images[:40].repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))[..., np.newaxis]
    write_records(tmp_path / "train.rec", large, labels[:40])
    config = config_of(tmp_path, tmp_path / "one", network=standard("lenet", (1, 28, 28), 10).to_dict(), threads=2,
                       use_mean="none", val_records=None, learning_rate=0.01)  # fmt: skip
    assert_same_bits(run_to_end(config), run_to_end(replace(config, directory=str(tmp_path / "other"))))
