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
    """Makes configurations of trainings of the head of dropout_network(), all from the same weights."""
    np.savez(tmp_path / "start.npz", **random_weights(dropout_network()))

    def make(directory="model", network=None, **fields):
        defaults = {"initial_weights": str(tmp_path / "start.npz"), "train_layers": "head"}
        network = (network or dropout_network()).to_dict()
        return config_of(digits_folder, tmp_path / directory, network=network, **(defaults | fields))

    return make
