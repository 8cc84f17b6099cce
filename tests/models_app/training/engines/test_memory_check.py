"""A training that does not fit into memory says so before it begins; no memory is really taken here."""

import math
import os

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.networks import Layer
from tests.support.samples.engine_samples import engine_of
from tests.support.samples.network_samples import network
from tests.support.samples.training_samples import LABELLED

SIDE, CHANNELS = 64, 500


def deep(poolings):
    """Every pooling keeps 8 MB an image, for backward; they have no weights."""
    layers = [Layer("conv", "Convolution", ("data",), ("x0",), {"num_output": CHANNELS, "kernel_size": 1})]
    for number in range(poolings):
        window = {"pool": "AVE", "kernel_size": 3, "stride": 1, "pad": 1}
        layers.append(Layer(f"pool{number}", "Pooling", (f"x{number}",), (f"x{number + 1}",), window))
    top = f"x{poolings}"
    layers.append(Layer("all", "Pooling", (top,), ("all",), {"pool": "AVE", "global_pooling": True}))
    layers.append(Layer("ip", "InnerProduct", ("all",), ("ip",), {"num_output": 3}))
    layers.append(Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=LABELLED))
    return network(*layers, input_shape=(1, SIDE, SIDE))


def train(sample, batch):
    engine = engine_of(sample, batch_size=batch)
    engine.train_batch(np.zeros((batch, *sample.input_shape), np.uint8), np.zeros(batch, np.float32), 0.1)


def test_what_does_not_fit_is_named_with_the_way_out():
    memory, batch = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), 256
    a_layer = 4 * batch * CHANNELS * SIDE * SIDE
    with pytest.raises(
        BadInput, match=r"training sample with a batch size of 256 .*memory.*; take a smaller batch_size"
    ):
        train(deep(math.ceil(memory / a_layer) + 2), batch)


def test_memory_that_the_system_refuses_is_named_too():
    batch = 100_000
    sample = network(
        Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 3_000_000}),
        Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=LABELLED),
        input_shape=(1, 1, 1),
    )
    with pytest.raises(BadInput, match=f"training sample with a batch size of {batch} .*memory"):
        train(sample, batch)


def test_what_fits_trains():
    train(deep(2), 2)
