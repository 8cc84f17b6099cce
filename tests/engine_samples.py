"""An engine on a small network, for the tests that need one."""

import numpy as np

from models_app.networks import Network
from models_app.training.engines import Engine, Setup, open_engine


def engine_of(network: Network, *, batch_size=4, mean=None, momentum=0.9, weight_decay=0.0, seed=0) -> Engine:
    setup = Setup(
        network=network,
        mean=mean,
        batch_size=batch_size,
        solver_type="SGD",
        momentum=momentum,
        weight_decay=weight_decay,
        device="cpu",
        threads=2,
        seed=seed,
    )
    return open_engine("mxnet", setup)


def random_images(network: Network, count: int, seed=0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *network.input_shape), dtype=np.uint8)


def random_weights(network: Network, seed=0) -> dict[str, np.ndarray]:
    """Every weight at random, so that none can be left out unnoticed; all above zero, as variances are."""
    rng = np.random.default_rng(seed)
    return {w.name: rng.uniform(0.02, 0.2, w.shape).astype(np.float32) for w in network.weights()}
