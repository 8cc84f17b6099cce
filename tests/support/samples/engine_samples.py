"""An engine on a small network, for the tests that need one."""

import numpy as np

from models_app.networks import Network
from models_app.training.engines import Engine, EngineConfig, open_engine


def engine_of(network: Network, **settings) -> Engine:
    """With batches of four, SGD and no weight decay, unless told otherwise."""
    defaults = {"mean": None, "batch_size": 4, "solver_type": "SGD", "momentum": 0.9, "weight_decay": 0.0}
    setup = EngineConfig(network, **(defaults | {"devices": ("cpu",), "threads": 2, "seed": 0} | settings))
    return open_engine("mxnet", setup)


def random_images(network: Network, count: int, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *network.input_shape), dtype=np.uint8)


def random_weights(network: Network, seed=0) -> dict[str, np.ndarray]:
    """Every weight at random, so that none can be left out unnoticed; all above zero, as variances are."""
    rng = np.random.default_rng(seed)
    return {w.name: rng.uniform(0.02, 0.2, w.shape).astype(np.float32) for w in network.weights()}


def assert_close(weights, expected, start):
    """Two trainings came from `start` to the same weights, by what each array moved."""
    for name, array in expected.items():
        moved = np.abs(array - start[name]).max()
        np.testing.assert_allclose(weights[name], array, rtol=0, atol=1e-4 * moved + 1e-7)
