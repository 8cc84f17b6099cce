"""Computes the positions of a directed graph's boxes: one rank below the other, parallel branches side by side.

Follows Sugiyama et al. 1981: a box's rank is the longest path to it; a long edge gets a point in each rank that it
crosses; boxes of a rank are ordered by the mean position of their neighbours, and stand as near to these as order and
widths allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

# No real network needs more points. Beyond that number long edges are drawn straight.
MAX_POINTS = 20_000
SWEEPS = 12

Edge = tuple[int, int]  # from, to: numbers of boxes
Point = tuple[float, float]


@dataclass(frozen=True)
class Spacing:
    """Pixels between boxes side by side, between ranks, and for an edge that crosses a rank."""

    beside: float = 28
    below: float = 34
    edge: float = 26


@dataclass(frozen=True)
class Placed:
    """The centre of each box's upper side, the points of each edge from box to box, and the size of the drawing."""

    boxes: list[Point]
    ways: list[list[Point]]
    width: float
    height: float


def place(sizes: Sequence[tuple[float, float]], edges: Sequence[Edge], spacing: Spacing) -> Placed:
    """Compute the layout. `sizes`: width and height of each box. Each edge goes from a box to a later one."""
    ranks = _ranks(len(sizes), edges)
    widths = [width for width, _ in sizes]
    chains = _route(edges, ranks, widths, spacing.edge)
    links = [link for chain in chains for link in pairwise(chain)]
    rows = _ordered(ranks, links)
    across = _across(rows, links, widths, spacing.beside)
    tops, bottoms = _down(rows, sizes, spacing.below)
    left = min(across[i] - widths[i] / 2 for i in range(len(widths)))
    across = [x - left for x in across]
    boxes = [(across[i], tops[ranks[i]]) for i in range(len(sizes))]
    ways = [_way(chain, across, ranks, tops, bottoms, sizes) for chain in chains]
    return Placed(boxes, ways, max(x + w / 2 for x, w in zip(across, widths, strict=True)), bottoms[-1])


def _ranks(count: int, edges: Sequence[Edge]) -> list[int]:
    ranks = [0] * count
    for before, after in sorted(edges, key=lambda edge: edge[1]):
        ranks[after] = max(ranks[after], ranks[before] + 1)
    return ranks


def _route(edges: Sequence[Edge], ranks: list[int], widths: list[float], room: float) -> list[list[int]]:
    """Each edge as a chain through consecutive ranks; the points between are appended to `ranks` and `widths`."""
    total = sum(ranks[after] - ranks[before] - 1 for before, after in edges)
    chains = []
    for before, after in edges:
        chain = [before]
        if total <= MAX_POINTS:
            for rank in range(ranks[before] + 1, ranks[after]):
                chain.append(len(ranks))
                ranks.append(rank)
                widths.append(room)
        chains.append([*chain, after])
    return chains


def _neighbours(count: int, links: Sequence[Edge]) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for before, after in links:
        above[after].append(before)
        below[before].append(after)
    return above, below


def _ordered(ranks: Sequence[int], links: Sequence[Edge]) -> list[list[int]]:
    """The boxes and points of each rank, from left to right; those of equal mean keep the order of their numbers."""
    rows: list[list[int]] = [[] for _ in range(max(ranks) + 1)]
    for number, rank in enumerate(ranks):
        rows[rank].append(number)
    above, below = _neighbours(len(ranks), links)
    positions = [0.0] * len(ranks)
    for row in rows:
        _set_positions(row, positions)
    for sweep in range(SWEEPS):
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            near = above if sweep % 2 == 0 else below
            means = {i: _mean([positions[j] for j in near[i]], positions[i]) for i in row}
            row.sort(key=means.__getitem__)
            _set_positions(row, positions)
    return rows


def _set_positions(row: Sequence[int], positions: list[float]) -> None:
    """Set the positions of a row's boxes within their rank, scaled to 0 … 1 so that ranks of any length compare."""
    for position, number in enumerate(row):
        positions[number] = (position + 0.5) / len(row)


def _across(rows: list[list[int]], links: Sequence[Edge], widths: Sequence[float], beside: float) -> list[float]:
    """The x coordinate of the centre of each box and point."""
    across = [0.0] * len(widths)
    above, below = _neighbours(len(widths), links)
    for sweep in range(SWEEPS + 1):  # the last sweep goes down, so that a box with one predecessor is straight below it
        for row in rows if sweep % 2 == 0 else rows[::-1]:
            near = above if sweep % 2 == 0 else below
            wanted = [_mean([across[j] for j in near[i]], across[i]) for i in row]
            for i, x in zip(row, _apart(wanted, [widths[i] for i in row], beside), strict=True):
                across[i] = x
    return across


def _apart(wanted: Sequence[float], widths: Sequence[float], beside: float) -> list[float]:
    """The positions nearest to the wanted ones (least squares) that keep order and distance: isotonic regression."""
    offsets = [0.0]
    for left, right in pairwise(widths):
        offsets.append(offsets[-1] + (left + right) / 2 + beside)
    blocks: list[tuple[float, int]] = []  # mean and count of boxes that touch
    for place, offset in zip(wanted, offsets, strict=True):
        mean, count = place - offset, 1
        while blocks and blocks[-1][0] >= mean:
            other, many = blocks.pop()
            mean, count = (mean * count + other * many) / (count + many), count + many
        blocks.append((mean, count))
    settled = [mean for mean, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(settled, offsets, strict=True)]


def _mean(values: Sequence[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _down(rows: list[list[int]], sizes: Sequence[tuple[float, float]], below: float) -> tuple[list[float], list[float]]:
    """The y coordinates of each rank's upper and lower side."""
    tops, bottoms, at = [], [], 0.0
    for row in rows:
        tops.append(at)
        bottoms.append(at + max((sizes[i][1] for i in row if i < len(sizes)), default=0.0))
        at = bottoms[-1] + below
    return tops, bottoms


def _way(chain, across, ranks, tops, bottoms, sizes) -> list[Point]:
    """The points of an edge: lower side of the first box, straight through each rank between, upper side of the
    last."""
    first, last = chain[0], chain[-1]
    way = [(across[first], tops[ranks[first]] + sizes[first][1])]
    for point in chain[1:-1]:
        way += [(across[point], tops[ranks[point]]), (across[point], bottoms[ranks[point]])]
    return [*way, (across[last], tops[ranks[last]])]
