"""LeNet trains alike, whether it is the standard one or comes as prototxt."""

import numpy as np
import pytest

from models_app.networks import prototxt, standard
from models_app.training.trainer import train
from tests.support.samples.imagedb_samples import digits
from tests.support.samples.prototxt_samples import LENET, LENET_OF_CAFFE
from tests.support.samples.training_samples import config_of, write_digits_dataset, write_records

SHAPE = (1, 16, 16)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """As write_digits_dataset, each pixel four times, since LeNet needs 16×16."""
    folder = write_digits_dataset(tmp_path_factory.mktemp("digits"))
    images, labels = digits()
    large = images[..., np.newaxis].repeat(2, axis=1).repeat(2, axis=2)
    write_records(folder / "train.rec", large[:40], labels[:40])
    write_records(folder / "val.rec", large[40:50], labels[40:50])
    np.save(folder / "mean.npy", large[:40].mean(axis=0).transpose(2, 0, 1).astype(np.float32))
    return folder


def trained(network, dataset, folder):
    """The weights after eight batches."""
    train(config_of(dataset, folder, network=network.to_dict(), learning_rate=0.01), lambda event: None, lambda: None)
    with np.load(folder / "snapshots" / "epoch-2" / "weights.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.mark.parametrize("text", [LENET, LENET_OF_CAFFE], ids=["digits", "caffe"])
def test_the_same_seed_gives_the_same_weights_to_the_bit(dataset, tmp_path, text):
    expected = trained(standard("lenet", SHAPE, 10), dataset, tmp_path / "standard")
    found = trained(prototxt.read(text, SHAPE, 10), dataset, tmp_path / "prototxt")
    assert list(found) == list(expected)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)
    initial = standard("lenet", SHAPE, 10).initial_weights(1)
    assert not np.array_equal(expected["conv1.bias"], initial["conv1.bias"])
