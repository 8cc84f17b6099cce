"""The seconds that a training takes on a CPU, from the costs of its network. No Django.

On one core an image takes work / MULTIPLICATIONS + values / VALUES seconds forward, and twice that backward through the
layers that are trained; n cores take 1 / √n of that. The constants were measured with MXNet 1.9.1
(docs/decisions/0096-recipes-and-estimates.md); trainings that have ended on a server correct them (estimate.py).
"""

from __future__ import annotations

from dataclasses import dataclass

from models_app.estimates.network_costs import NetworkCosts

# Per second and core.
MULTIPLICATIONS = 71e9
VALUES = 1.84e9
SPEED_UP = 0.5  # exponent of the number of cores
BACKWARD = 2  # times the forward pass
FEATURES_FASTER = 2.7  # times: ONNX Runtime computes them
START = 4.0  # seconds: the trainer's process and its engine
SNAPSHOT = 0.5  # seconds, besides computing with it
SNAPSHOT_BYTES = 150e6  # written per second


@dataclass(frozen=True)
class Workload:
    """How much a training computes: numbers of images, and of snapshots.

    trained, validated: images, each counted as often as the whole network computes it.
    features: views of images of which the features are computed, once.
    snapshots: written, each of `snapshot_bytes`.
    """

    trained: float
    validated: float
    features: float = 0.0
    snapshots: int = 1
    snapshot_bytes: int = 0


def seconds_of(costs: NetworkCosts, work: Workload, cores: int) -> float:
    """The seconds from the start of the trainer to its end."""
    forward = (costs.work / MULTIPLICATIONS + costs.values / VALUES) / cores**SPEED_UP
    images = work.trained * (1 + BACKWARD * costs.backward) + work.validated + work.features / FEATURES_FASTER
    computing = images * forward
    return START + computing + work.snapshots * (SNAPSHOT + work.snapshot_bytes / SNAPSHOT_BYTES)
