"""Keeps the scores of several batches on the device, because reading them waits for the device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models_app.networks.resolve import Value
from models_app.training.engines.array_library import Array
from models_app.training.measures import Tally


class ScoreBuffer:
    """Keeps the scores of several batches, and reads them together. Their labels are kept on the host meanwhile.

    An engine overrides hold() and numbers(). sources: the values whose scores are kept. batch_numbers: how many numbers
    a batch has, labels included. room: how many batches are kept before they are read.
    """

    MAX_BATCHES = 64
    MAX_BYTES = 4 << 20

    def __init__(self, sources: Sequence[Value], batch_numbers: int, tally: Tally) -> None:
        self._sources = sources
        self._tally = tally
        self.room = max(1, min(self.MAX_BATCHES, self.MAX_BYTES // (4 * batch_numbers)))
        self._held: list[Sequence[Array]] = []
        self._labels: list[np.ndarray] = []

    def hold(self, place: int, results: Sequence[Array]) -> Sequence[Array]:
        """The results of a batch as arrays that the next batches don't change. `place`: from 0 to room - 1."""
        raise NotImplementedError

    def numbers(self, results: Sequence[Array]) -> np.ndarray:
        """The results of several batches, one after the other."""
        raise NotImplementedError

    def keep(self, results: Sequence[Array], labels: np.ndarray) -> None:
        """Keep the results of a batch, one for each source."""
        self._held.append(self.hold(len(self._labels), results))
        self._labels.append(labels.copy())
        if len(self._labels) == self.room:
            self.read()

    def read(self) -> None:
        """Read the scores of all batches as one, because a measure costs the same for one batch as for many."""
        if not self._labels:
            return
        scores = dict(zip(self._sources, map(self.numbers, zip(*self._held, strict=True)), strict=True))
        self._tally.add(scores, np.concatenate(self._labels), batches=len(self._labels))
        self._held.clear()
        self._labels.clear()
