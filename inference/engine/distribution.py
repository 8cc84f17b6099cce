"""Statistics and a histogram of an array, in constant memory. Plain Python."""

from collections.abc import Iterator

import numpy as np

BINS = 20
BLOCK = 1 << 20  # numbers per block


def distribution(values: np.ndarray) -> dict:
    """`{shape, mean, stddev, min, max, histogram}` of the finite numbers; without any, all but shape is None.

    The histogram has DIGITS's form: [counts, centres of the bins, [first edge, middle edge, last edge]].
    """
    facts = {"shape": list(values.shape)}
    count = sum(len(block) for block in _finite(values))
    if not count:
        return facts | dict.fromkeys(("mean", "stddev", "min", "max", "histogram"))
    low = min(block.min() for block in _finite(values) if len(block))
    high = max(block.max() for block in _finite(values) if len(block))
    mean = sum(block.sum() for block in _finite(values)) / count
    squares = sum(np.square(block - mean).sum() for block in _finite(values))
    edges = np.histogram_bin_edges(np.array([low, high]), BINS)
    histograms = (np.histogram(block, BINS, (edges[0], edges[-1]))[0] for block in _finite(values))
    counts = sum(histograms, start=np.zeros(BINS, np.int64))
    middles = (edges[:-1] + edges[1:]) / 2
    ticks = edges[[0, BINS // 2, -1]]
    measures = {"mean": mean, "stddev": np.sqrt(squares / count), "min": low, "max": high}
    histogram = [counts.tolist(), [_short(middle) for middle in middles], [_short(tick) for tick in ticks]]
    return facts | {name: _short(measure) for name, measure in measures.items()} | {"histogram": histogram}


def _finite(values: np.ndarray) -> Iterator[np.ndarray]:
    flat = values.reshape(-1)
    for start in range(0, len(flat), BLOCK):
        block = flat[start : start + BLOCK]
        yield block[np.isfinite(block)].astype(np.float64)  # float32 could not hold sums and squares


def _short(number: float) -> float:
    """The number rounded to six digits, the precision of a float32."""
    return float(f"{number:.6g}")
