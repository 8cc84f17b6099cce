"""Metrics of Prometheus whose numbers all web processes of a host share, so that each of them exports the same."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from math import inf

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from digits_project.common.shared_memory.web_processes import shared


class SharedCounter:
    """A counter with one label. Its usual values are declared, because another process can count one first."""

    def __init__(self, name: str, text: str, label: str):
        self.name, self.text, self.label = name, text, label
        self._values: dict[str, None] = {}

    def declare(self, values: Iterable[str]) -> None:
        """Declare values of the label, which are then exported once they were counted."""
        self._values |= dict.fromkeys(values)

    def add(self, value: str) -> None:
        self.declare([value])
        shared().counters.add(self._entry(value), 1)

    def collect(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self.name, self.text, labels=[self.label])
        for value in self._values:
            [count] = shared().counters.values(self._entry(value))
            if count:
                family.add_metric([value], count)
        yield family

    def _entry(self, value: str, part: float | str = "") -> str:
        return f"{self.name} {value} {part}"


class SharedHistogram(SharedCounter):
    """A histogram of seconds with one label."""

    def __init__(self, name: str, text: str, label: str, buckets: Sequence[float]):
        super().__init__(name, text, label)
        self._buckets: tuple[float, ...] = (*buckets, inf)

    @contextmanager
    def time(self, value: str) -> Iterator[None]:
        """Count how long the block takes."""
        began = time.perf_counter()
        try:
            yield
        finally:
            seconds = time.perf_counter() - began
            bucket = self._buckets[bisect_left(self._buckets, seconds)]
            shared().counters.add_all({self._entry(value, bucket): 1, self._entry(value, "sum"): seconds})

    def collect(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self.name, self.text, labels=[self.label])
        for value in self._values:
            entries = [self._entry(value, border) for border in self._buckets]
            *counts, seconds = shared().counters.values(*entries, self._entry(value, "sum"))
            if any(counts):
                borders = map(floatToGoString, self._buckets)
                family.add_metric([value], list(zip(borders, accumulate(counts), strict=True)), seconds)
        yield family
