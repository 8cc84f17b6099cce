"""Caffe's scale factor of every BatchNorm, which the libraries of the engines lack (see dense.BatchNorm)."""

from __future__ import annotations

from collections.abc import Hashable, Mapping

import numpy as np

from digits_project.common.errors import BadInput
from models_app.networks import Network, Node
from models_app.networks.layers import dense
from models_app.networks.timm.timm_network import TimmModel


class RunningAverages:
    """Counts the trained batches, from which the factor of every BatchNorm follows.

    names: of the running averages that a training changes.
    """

    def __init__(self, network: Network) -> None:
        self._nodes: list[Node] = [node for node in network.nodes("train") if isinstance(node.kind, dense.BatchNorm)]
        moving = [node for node in self._nodes if not node.kind.use_global_stats]
        self.names = [weight.name for node in moving for weight in node.weights[:2]]
        for node in network.nodes("train"):
            if isinstance(node.kind, TimmModel):
                self.names += node.kind.moving(node.weights)
        self._start = {node.weights[2].name: 0.0 for node in self._nodes}
        self._batches = 0  # trained since the factors were loaded
        self._corrected: set[Hashable] = set()

    def count_batch(self) -> None:
        """Count a trained batch."""
        self._batches += 1
        self._corrected.clear()

    def factors(self) -> dict[str, float]:
        """The current factor of every BatchNorm by its weight's name."""
        return {node.weights[2].name: self._factor(node) for node in self._nodes}

    def _factor(self, node: Node) -> float:
        start = self._start[node.weights[2].name]
        if node.kind.use_global_stats:
            return start
        return 1 - (1 - start) * node.kind.moving_average_fraction**self._batches

    def load_factors(self, weights: Mapping[str, np.ndarray]) -> None:
        """Start from the factors among these weights."""
        self._start = {node.weights[2].name: float(weights[node.weights[2].name][0]) for node in self._nodes}
        self._batches = 0
        self._corrected.clear()

    def state(self) -> dict[str, np.ndarray]:
        """The exact numbers behind the factors; factors rounded to float32 would differ after a resume."""
        return {f"{name}.start": np.array([start, self._batches]) for name, start in self._start.items()}

    def load_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restore the arrays of state(). Call it after load_factors()."""
        if not self.state().keys() <= state.keys():
            raise BadInput("the snapshot does not have the start of its running averages")
        for name in self._start:
            start, since = state[f"{name}.start"]
            self._start[name], self._batches = float(start), int(since)
        self._corrected.clear()

    def is_outdated(self, phase: Hashable) -> bool:
        """Whether a phase outside of training has other averages than the training; False from the next call on."""
        outdated = bool(self._nodes) and phase not in self._corrected
        self._corrected.add(phase)
        return outdated

    def divisors(self, factors: Mapping[str, float]) -> dict[str, float]:
        """{mean or variance of a BatchNorm: the divisor that turns it into the one to normalize by}."""
        return {
            weight.name: max(factors[node.weights[2].name], dense.SMALLEST_FACTOR)
            for node in self._nodes
            for weight in node.weights[:2]
        }
