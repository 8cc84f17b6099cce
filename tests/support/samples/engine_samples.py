"""Engines on small networks, with random images and weights."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace

import numpy as np
import pytest

from models_app.networks import Network
from models_app.training.engines import Engine, EngineConfig, open_engine, registry
from models_app.training.engines.mxnet_declaration import MXNET

engine_name: ContextVar[str] = ContextVar("engine_name", default="mxnet")

# The device of all engines under test: `make gpu-check` sets a GPU. They compute in fp32 there, and the same bits.
DEVICE = os.environ.get("TESTED_DEVICE", "cpu")
EXACT = {"precision": "fp32", "deterministic": True}

# The mark of a test, or of one of its parameters, that computes on several devices.
ON_SEVERAL_DEVICES = pytest.mark.only_engine("mxnet", reason="it computes on one device for each process")

# Stand-ins for further engines. An engine counts as installed if its package can be found, and as built for GPUs if a
# distribution of its gpu_wheels is installed: both hold for SECOND, neither for MISSING.
SECOND = replace(MXNET, name="second", title="Second", package="numpy", gpu_wheels={"numpy": ((7, 5), (12, 0))})
MISSING = replace(MXNET, name="missing", title="Missing", package="no_such_package", gpu_wheels={"none": ((1, 0),) * 2})


def register_only(monkeypatch, *engines: registry.EngineDeclaration) -> None:
    """Put engines in place of the registered ones, for one test."""
    monkeypatch.setattr(registry, "ENGINES", {})
    for engine in engines:
        registry.register(engine)


@contextmanager
def use_engine(name: str) -> Iterator[None]:
    """Run the block's engines and trainings on this engine; see the fixture engine_name."""
    token = engine_name.set(name)
    try:
        yield
    finally:
        engine_name.reset(token)


def engine_of(network: Network, **settings) -> Engine:
    """The engine under test with `settings`; by default batches of four, SGD and no weight decay."""
    defaults = {"mean": None, "batch_size": 4, "solver_type": "SGD", "momentum": 0.9, "weight_decay": 0.0}
    where = {"devices": (DEVICE,), "threads": 2, "seed": 0} | ({} if DEVICE == "cpu" else EXACT)
    setup = EngineConfig(network=network, **(defaults | where | settings))
    return open_engine(engine_name.get(), setup)


def random_images(network: Network, count: int, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *network.input_shape), dtype=np.uint8)


def random_weights(network: Network, seed=0) -> dict[str, np.ndarray]:
    """Random values for every weight, so that a missing one is noticed; all above zero, as variances have to be."""
    rng = np.random.default_rng(seed)
    return {w.name: rng.uniform(0.02, 0.2, w.shape).astype(np.float32) for w in network.weights()}


def assert_close(weights, expected, start):
    """Assert that two trainings from `start` reached the same weights, relative to how far each array moved."""
    for name, array in expected.items():
        moved = np.abs(array - start[name]).max()
        np.testing.assert_allclose(weights[name], array, rtol=0, atol=1e-4 * moved + 1e-7)
