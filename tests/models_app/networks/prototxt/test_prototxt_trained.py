"""LeNet trains to the same weights as a standard network and as a prototxt."""

import numpy as np
import pytest

from models_app.networks import prototxt, standard
from models_app.training.trainer import train
from tests.support.samples.imagedb_samples import digits
from tests.support.samples.network_samples import LENET, LENET_OF_CAFFE
from tests.support.samples.training_samples import config_of, snapshot_weights, write_digits_dataset, write_records

SHAPE = (1, 16, 16)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """The digits of write_digits_dataset, doubled to 16×16 pixels, the smallest size that LeNet takes."""
    folder = write_digits_dataset(tmp_path_factory.mktemp("digits"))
    images, labels = digits()
    large = images[..., np.newaxis].repeat(2, axis=1).repeat(2, axis=2)
    write_records(folder / "train.rec", large[:40], labels[:40])
    write_records(folder / "val.rec", large[40:50], labels[40:50])
    np.save(folder / "mean.npy", large[:40].mean(axis=0).transpose(2, 0, 1).astype(np.float32))
    return folder


def weights_after_training(network, dataset, folder):
    """The weights after eight batches."""
    train(config_of(dataset, folder, network=network.to_dict(), learning_rate=0.01), lambda event: None, lambda: None)
    return snapshot_weights(folder / "snapshots" / "epoch-2")


@pytest.mark.parametrize("text", [LENET, LENET_OF_CAFFE], ids=["digits", "caffe"])
def test_lenet_read_from_prototxt_trains_to_the_same_bits_as_the_standard_network(dataset, tmp_path, text):
    expected = weights_after_training(standard("lenet", SHAPE, 10), dataset, tmp_path / "standard")
    found = weights_after_training(prototxt.read(text, SHAPE, 10), dataset, tmp_path / "prototxt")
    assert list(found) == list(expected)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    initial = standard("lenet", SHAPE, 10).initial_weights(1)
    assert not np.array_equal(expected["conv1.bias"], initial["conv1.bias"])
