"""Networks that predict numbers or images instead of categories, trained on labels of that kind."""

from pathlib import Path

import numpy as np
import pytest

from datasets.imagedb.foreign.pairs import labels_path
from datasets.imagedb.store.payloads import encode
from datasets.imagedb.store.records import RecordWriter
from models_app.networks import Layer, Network
from models_app.training.trainer import train
from tests.models_app.networks.test_onnx_layers import onnx_outputs
from tests.support.samples.imagedb_samples import digits
from tests.support.samples.network_samples import DATA
from tests.support.samples.training_samples import (
    LABELLED_PHASES,
    config_of,
    events_of_kind,
    run_trainer,
    snapshot_weights,
    write_records,
)

pytestmark = pytest.mark.usefixtures("engine_name")

TRAIN, VAL = 96, 24
XAVIER = {"weight_filler": {"type": "xavier"}}


def regression(outputs: int, label_shape) -> Network:
    """Pixels scaled to about 1, then one InnerProduct, compared with the label by EuclideanLoss."""
    layers = (
        DATA,
        Layer("scale", "Power", ("data",), ("scaled",), {"scale": 1 / 255}),
        Layer("ip", "InnerProduct", ("scaled",), ("ip",), {"num_output": outputs, **XAVIER}),
        Layer("loss", "EuclideanLoss", ("ip", "label"), ("loss",), phases=LABELLED_PHASES),
    )
    return Network("regression", (1, 8, 8), layers, label_shape)


def halves(images):
    """The labels to learn: the mean brightness of the upper and of the lower half of each image, 0 to 1000."""
    return np.stack([images[:, :4].mean(axis=(1, 2)), images[:, 4:].mean(axis=(1, 2))], axis=1) / 255 * 1000


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    """train.rec, val.rec and mean.npy of digits with two numbers each as label."""
    folder = tmp_path_factory.mktemp("vectors")
    images = digits()[0]
    for name, part in (("train", images[:TRAIN]), ("val", images[TRAIN : TRAIN + VAL])):
        with RecordWriter(folder / f"{name}.rec") as writer:
            for image, label in zip(part, halves(part), strict=True):
                writer.write(label, encode(image[..., np.newaxis], "png"))
    np.save(folder / "mean.npy", images[:TRAIN].mean(axis=0)[np.newaxis].astype(np.float32))
    return folder


def generic_config(dataset, directory, network, **fields):
    defaults = {"labels_file": None, "network": network.to_dict(), "epochs": 15, "lr_policy": "fixed", "batch_size": 16}
    return config_of(dataset, directory, **(defaults | {"learning_rate": 0.01, "snapshot_interval": 0} | fields))


def losses(events, split):
    return [event["loss"] for event in events_of_kind(events, "metrics", split=split)]


def test_a_network_learns_to_predict_numbers(vectors, tmp_path):
    config = generic_config(vectors, tmp_path, regression(2, (2, 1, 1)))
    status, events, log = run_trainer(config)
    assert status == 0, log
    for split in ("train", "val"):
        assert losses(events, split)[-1] < losses(events, split)[0] / 50
        assert {event["accuracy"] for event in events_of_kind(events, "metrics", split=split)} == {None}
    images = digits()[0][TRAIN : TRAIN + VAL]
    got = onnx_outputs(tmp_path / "snapshots" / "epoch-15" / "model.onnx", images[:, np.newaxis])
    assert list(got) == ["ip"]
    assert np.abs(got["ip"] - halves(images)).mean() < 30


def test_the_best_epoch_of_a_generic_model_has_the_lowest_loss(vectors, tmp_path):
    rising = generic_config(vectors, tmp_path, regression(2, (2, 1, 1)), epochs=4, snapshot_interval=1)
    events = []
    best = train(rising, events.append, lambda: None)
    by_epoch = {event["epoch"]: event["loss"] for event in events_of_kind(events, "metrics", split="val")}
    assert best == min(by_epoch, key=by_epoch.get)
    assert len(set(by_epoch.values())) == 4


def test_a_network_learns_to_predict_an_image(tmp_path):
    """The label is every second pixel, inverted, which one convolution can compute."""
    images = digits()[0][:TRAIN, :, :, np.newaxis]
    write_records(tmp_path / "train.rec", images, [0] * TRAIN)
    write_records(labels_path(tmp_path / "train.rec"), 255 - images[:, ::2, ::2], [0] * TRAIN)
    layers = (
        DATA,
        Layer("scale", "Power", ("data",), ("scaled",), {"scale": 1 / 255}),
        Layer("target", "Power", ("label",), ("target",), {"scale": 1 / 255}, phases=LABELLED_PHASES),
        Layer(
            "conv", "Convolution", ("scaled",), ("conv",), {"num_output": 1, "kernel_size": 2, "stride": 2, **XAVIER}
        ),
        Layer("loss", "EuclideanLoss", ("conv", "target"), ("loss",), phases=LABELLED_PHASES),
    )
    network = Network("inverted", (1, 8, 8), layers, (1, 4, 4))
    fields = {"val_records": None, "use_mean": "none", "learning_rate": 0.05, "epochs": 12}
    config = generic_config(tmp_path, tmp_path / "model", network, **fields)
    events = []
    train(config, events.append, lambda: None)
    assert losses(events, "train")[-1] < losses(events, "train")[0] / 50
    weights = snapshot_weights(Path(config.directory) / "snapshots" / "epoch-12")
    np.testing.assert_allclose(weights["conv.weight"].ravel(), [-1, 0, 0, 0], atol=0.05)
    np.testing.assert_allclose(weights["conv.bias"], [1], atol=0.05)
