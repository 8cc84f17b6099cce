"""Fixtures of trainings of the head on cached features."""

import numpy as np
import pytest

from tests.support.samples.engine_samples import random_weights
from tests.support.samples.training_samples import config_of, dropout_network, write_digits_dataset


@pytest.fixture
def digits_folder(tmp_path):
    """The folder of a dataset of digits, which has no features yet."""
    (tmp_path / "dataset").mkdir()
    return write_digits_dataset(tmp_path / "dataset")


@pytest.fixture
def head_config(digits_folder, tmp_path):
    """Makes configurations of trainings of the head; those of one network start from the same weights."""

    def make(directory="model", network=None, seed=0, **fields):
        network = network or dropout_network()
        start = tmp_path / f"{network.name}-{seed}.npz"
        np.savez(start, **random_weights(network, seed))
        defaults = {"initial_weights": str(start), "train_layers": "head", "network": network.to_dict()}
        return config_of(digits_folder, tmp_path / directory, **(defaults | fields))

    return make
