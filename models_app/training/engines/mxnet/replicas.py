"""Trains on one device or several: each device computes a share of every batch, and all have the same weights.

Only the first device has a solver. Before a step it gets the other devices' gradients, each weighted by its share of
the batch; after the step the other devices get its weights. So several devices take the same steps as one, up to
rounding. BatchNorm is the exception: it normalises each share by itself, and its running averages are those of the
first device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from models_app.networks import BadNetwork, Network
from models_app.training.engines.interface import EngineConfig
from models_app.training.engines.mxnet.bound_executor import Arrays, BoundExecutor
from models_app.training.engines.mxnet.compat import mx
from models_app.training.engines.mxnet.memory_check import check_fits, refuse_too_large
from models_app.training.engines.mxnet.ndarrays import add_scaled
from models_app.training.measures import Scores, Tally


@dataclass(frozen=True)
class Replica:
    """The network on one device, for some rows of every batch; `share` is their fraction of the batch."""

    rows: slice
    share: float
    weights: Arrays
    gradients: Arrays
    bound: BoundExecutor


class Replicas:
    """The replicas, one per context. `weights` and `gradients` belong to the first."""

    def __init__(
        self, config: EngineConfig, contexts: Sequence[mx.Context], weights: Arrays, gradients: Arrays
    ) -> None:
        if len(contexts) > 1:
            _check_divisible(config.network)
        self._tally = Tally(config.network, "train", soft_labels=config.has_soft_labels)
        self._accumulates = config.batch_accumulation > 1
        self._first, *self._others = (
            self._replica(config, context, rows, weights, gradients)
            for context, rows in zip(contexts, shares(config.batch_size, len(contexts)), strict=True)
        )
        self.load()

    def _replica(
        self, config: EngineConfig, context: mx.Context, rows: slice, weights: Arrays, gradients: Arrays
    ) -> Replica:
        own_weights, own_gradients = (
            {name: array.as_in_context(context) for name, array in arrays.items()} for arrays in (weights, gradients)
        )
        part = replace(config, batch_size=rows.stop - rows.start)
        with refuse_too_large(part):
            bound = BoundExecutor(part, "train", context, own_weights, own_gradients, self._tally)
        check_fits(part, bound.executor, context)
        return Replica(rows, part.batch_size / config.batch_size, own_weights, own_gradients, bound)

    def run(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Run forward and backward on all devices at the same time."""
        for replica in (self._first, *self._others):
            replica.bound.run(images[replica.rows], labels[replica.rows], is_train=True)
            replica.bound.executor.backward()

    def gather(self) -> None:
        """Combine the gradients of all devices on the first."""
        if not self._others:
            return
        for name, gradient in self._first.gradients.items():
            gradient *= self._first.share
            for replica in self._others:
                add_scaled(gradient, replica.share, replica.gradients[name].as_in_context(gradient.context))
                if self._accumulates:
                    replica.gradients[name][:] = 0

    def spread(self) -> None:
        """Copy the trained weights from the first device to the others."""
        self._copy(self._first.gradients)

    def load(self) -> None:
        """Copy all weights, trained or not, from the first device to the others."""
        self._copy(self._first.weights)

    def _copy(self, names: Mapping[str, object]) -> None:
        for replica in self._others:
            for name in names:
                self._first.weights[name].copyto(replica.weights[name])

    def scores(self) -> Scores:
        """The means of each measure since the last call, over all devices."""
        for replica in (self._first, *self._others):
            replica.bound.read_scores()
        return self._tally.averages()


def shares(batch_size: int, devices: int) -> list[slice]:
    """The rows of a batch for each device, as even as possible; the first devices take one more."""
    size, more = divmod(batch_size, devices)
    ends = [size * number + min(number, more) for number in range(devices + 1)]
    return [slice(start, end) for start, end in pairwise(ends)]


def _check_divisible(network: Network) -> None:
    for node in network.nodes("train"):
        if getattr(node.kind, "normalization", None) == "NONE":
            raise BadNetwork(
                f"layer {node.layer.name}: a loss with normalization NONE can't be divided among several devices"
            )
