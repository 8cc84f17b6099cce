"""A training that does not fit into memory is refused before it begins; the tests do not allocate that memory."""

import math
import os

import numpy as np
import pytest

from digits_project.common.errors import BadInput
from models_app.networks import Layer
from tests.support.samples.engine_samples import engine_of
from tests.support.samples.network_samples import network
from tests.support.samples.training_samples import LABELLED_PHASES

SIDE, CHANNELS = 64, 500


def deep_network(poolings):
    """A network of pooling layers: each keeps 8 MB per image for the backward pass, and has no weights."""
    layers = [Layer("conv", "Convolution", ("data",), ("x0",), {"num_output": CHANNELS, "kernel_size": 1})]
    for number in range(poolings):
        window = {"pool": "AVE", "kernel_size": 3, "stride": 1, "pad": 1}
        layers.append(Layer(f"pool{number}", "Pooling", (f"x{number}",), (f"x{number + 1}",), window))
    top = f"x{poolings}"
    layers.append(Layer("all", "Pooling", (top,), ("all",), {"pool": "AVE", "global_pooling": True}))
    layers.append(Layer("ip", "InnerProduct", ("all",), ("ip",), {"num_output": 3}))
    layers.append(Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=LABELLED_PHASES))
    return network(*layers, input_shape=(1, SIDE, SIDE))


def train(sample, batch):
    engine = engine_of(sample, batch_size=batch)
    engine.train_batch(np.zeros((batch, *sample.input_shape), np.uint8), np.zeros(batch, np.float32), 0.1)


def test_a_training_that_exceeds_the_memory_is_refused_with_the_advice_of_a_smaller_batch():
    memory, batch = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"), 256
    bytes_per_layer = 4 * batch * CHANNELS * SIDE * SIDE
    with pytest.raises(
        BadInput, match=r"training sample with a batch size of 256 .*memory.*; use a smaller batch_size"
    ):
        train(deep_network(math.ceil(memory / bytes_per_layer) + 2), batch)


def test_a_failed_allocation_is_reported_as_a_lack_of_memory():
    batch = 100_000
    sample = network(
        Layer("ip", "InnerProduct", ("data",), ("ip",), {"num_output": 3_000_000}),
        Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=LABELLED_PHASES),
        input_shape=(1, 1, 1),
    )
    with pytest.raises(BadInput, match=f"training sample with a batch size of {batch} .*memory"):
        train(sample, batch)


def test_a_training_that_fits_into_memory_runs():
    train(deep_network(2), 2)
