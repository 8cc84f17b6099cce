"""Small networks, record files of real digits, and trainings on them."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from datasets.imagedb.store.payloads import encode
from datasets.imagedb.store.records import RecordWriter
from models_app.networks import Layer, Network
from models_app.training.config import TrainConfig
from models_app.training.snapshots.snapshot_reader import DESCRIPTION, load_weights
from tests.support.samples import engine_samples
from tests.support.samples.imagedb_samples import digits
from tests.support.samples.network_samples import network

TRAIN_IMAGES, VAL_IMAGES = 40, 22
LABELLED_PHASES = ("train", "val")


def softmax_network(categories=10, input_shape=(1, 8, 8), scale=0.01, **inner_product) -> Network:
    """Scaled pixels, one InnerProduct named ip, and a softmax. `inner_product` are further arguments of its Layer."""
    filler = {"weight_filler": {"type": "xavier"}}
    return network(
        Layer("scale", "Power", ("data",), ("scaled",), {"scale": scale}),
        Layer("ip", "InnerProduct", ("scaled",), ("ip",), {"num_output": categories, **filler}, **inner_product),
        Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=LABELLED_PHASES),
        Layer("softmax", "Softmax", ("ip",), ("softmax",), phases=("deploy",)),
        input_shape=input_shape,
    )


def dropout_network() -> Network:
    """A convolution, batch normalization and dropout, so that an engine draws random numbers and keeps statistics."""
    xavier = {"weight_filler": {"type": "xavier"}}
    return network(
        Layer("scale", "Power", ("data",), ("scaled",), {"scale": 0.01}),
        Layer("conv", "Convolution", ("scaled",), ("conv",), {"num_output": 8, "kernel_size": 3, **xavier}),
        Layer("norm", "BatchNorm", ("conv",), ("norm",)),
        Layer("gain", "Scale", ("norm",), ("gain",), {"bias_term": True}),
        Layer("relu", "ReLU", ("gain",), ("gain",)),
        Layer("drop", "Dropout", ("gain",), ("gain",), {"dropout_ratio": 0.3}),
        Layer("ip", "InnerProduct", ("gain",), ("ip",), {"num_output": 10, **xavier}),
        Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=LABELLED_PHASES),
        Layer("softmax", "Softmax", ("ip",), ("softmax",), phases=("deploy",)),
        input_shape=(1, 8, 8),
    )


def write_records(path: Path, images: np.ndarray, labels) -> Path:
    """Write a record file of these images, uint8 N×H×W×C."""
    with RecordWriter(path) as writer:
        for image, label in zip(images, labels, strict=True):
            writer.write(float(label), encode(image, "png"))
    return path


def write_digits_dataset(folder: Path, train=TRAIN_IMAGES, val=VAL_IMAGES) -> Path:
    """Write train.rec, val.rec, labels.txt and mean.npy of 8×8 digits."""
    images, labels = digits()
    images = images[..., np.newaxis]
    write_records(folder / "train.rec", images[:train], labels[:train])
    write_records(folder / "val.rec", images[train : train + val], labels[train : train + val])
    (folder / "labels.txt").write_text("".join(f"{i}\n" for i in range(10)))
    np.save(folder / "mean.npy", images[:train].mean(axis=0).transpose(2, 0, 1).astype(np.float32))
    return folder


def config_of(dataset: Path, directory: Path, **fields) -> TrainConfig:
    """A configuration with `fields`; by default two epochs of four batches of a write_digits_dataset.

    Its engine is the one under test.
    """
    paths = {"train_records": "train.rec", "val_records": "val.rec", "labels_file": "labels.txt"}
    defaults = {name: str(dataset / file) for name, file in (paths | {"mean_file": "mean.npy"}).items()}
    defaults |= {"network": softmax_network().to_dict(), "directory": str(directory), "epochs": 2, "batch_size": 10}
    defaults["engine"] = engine_samples.engine_name.get()
    where = {} if engine_samples.DEVICE == "cpu" else {"devices": (engine_samples.DEVICE,), **engine_samples.EXACT}
    return TrainConfig(**(defaults | {"random_seed": 1, "threads": 1, "learning_rate": 0.1} | where | fields))


def start_trainer(config_file: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "models_app.training", str(config_file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run_trainer(config: TrainConfig) -> tuple[int, list[dict], str]:
    """Run the trainer as a process; return its exit status, events and log."""
    directory = Path(config.directory)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(config.to_json(), encoding="utf-8")
    process = start_trainer(directory / "config.json")
    output, log = process.communicate(timeout=60)
    return process.returncode, [json.loads(line) for line in output.splitlines()], log


def snapshot_weights(directory: Path) -> dict[str, np.ndarray]:
    """All weights of a snapshot."""
    network = json.loads((directory / DESCRIPTION).read_text(encoding="utf-8"))["network"]
    return load_weights(directory, [weight.name for weight in Network.from_dict(network).weights()])


def events_of_kind(events: list[dict], kind: str, **fields) -> list[dict]:
    """The events of this kind that have these fields."""
    return [event for event in events if {**event, "event": kind, **fields} == event]
