"""Draws curves as a PNG: lines of relative values over a logarithmic axis of sizes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from benchmarks.growth.curve import MAX_GROWTH, Curve

WIDTH, HEIGHT = 860, 420
LEFT, TOP, RIGHT, BOTTOM = 60, 56, 330, 56  # margins; the names of the lines stand on the right
FINER = 3  # drawn so many times as large, and reduced, so that lines are smooth
MIN_TOP = 2.0  # of the vertical axis
INK, PALE, BAND = "#333333", "#dddddd", "#eef4ee"
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")


def draw(title: str, sizes_of: str, curves: Sequence[Curve], path: Path) -> None:
    """Write the chart; sizes_of: what is counted on the horizontal axis."""
    image = Image.new("RGB", (WIDTH * FINER, HEIGHT * FINER), "white")
    canvas = _Canvas(image, curves)
    canvas.axes(title, sizes_of)
    for number, curve in enumerate(curves):
        canvas.line(curve, COLOURS[number % len(COLOURS)], number)
    image = image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS).quantize(256)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)


class _Canvas:
    def __init__(self, image: Image.Image, curves: Sequence[Curve]) -> None:
        self._draw = ImageDraw.Draw(image)
        self._sizes = sorted({size for curve in curves for size, _ in curve.points})
        self._top = max(MIN_TOP, math.ceil(max(curve.growth for curve in curves) * 1.05))

    def axes(self, title: str, sizes_of: str) -> None:
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        self._draw.rectangle(_finer(LEFT, self._y(MAX_GROWTH), right, bottom), fill=BAND)
        self._text(LEFT, 12, title, 17)
        step = 0.5 if self._top <= 4 else math.ceil(self._top / 8)
        for number in range(int(self._top / step) + 1):
            y = self._y(number * step)
            self._draw.line(_finer(LEFT, y, right, y), fill=PALE, width=FINER)
            self._text(LEFT - 8, y, f"{number * step:g}", 13, "rm")
        for size in self._sizes:
            self._text(self._x(size), bottom + 8, f"{size:,}", 13, "ma")
        self._text(
            (LEFT + right) / 2, bottom + 30, f"{sizes_of}; green: at most {MAX_GROWTH} of the smallest", 13, "ma"
        )

    def line(self, curve: Curve, colour: str, number: int) -> None:
        places = [(self._x(size), self._y(value)) for size, value in curve.relative]
        self._draw.line([_finer(*place) for place in places], fill=colour, width=2 * FINER, joint="curve")
        for x, y in places:
            self._draw.ellipse(_finer(x - 3.5, y - 3.5, x + 3.5, y + 3.5), fill=colour)
        x, y = WIDTH - RIGHT + 24, TOP + 10 + 42 * number
        self._draw.line(_finer(x, y, x + 18, y), fill=colour, width=3 * FINER)
        (_, first), (_, last) = curve.points[0], curve.points[-1]
        self._text(x + 26, y, curve.name, 13, "lm")
        self._text(x + 26, y + 16, f"{first:.3g} to {last:.3g} {curve.unit}", 12, "lm")

    def _x(self, size: int) -> float:
        first, last = math.log(self._sizes[0]), math.log(self._sizes[-1])
        inner = WIDTH - LEFT - RIGHT - 40
        return LEFT + 20 + inner * (math.log(size) - first) / (last - first)

    def _y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / self._top

    def _text(self, x: float, y: float, text: str, size: int, anchor: str = "la") -> None:
        font = ImageFont.load_default(size * FINER)
        self._draw.text(_finer(x, y), text, INK, font, anchor)


def _finer(*numbers: float) -> tuple[float, ...]:
    return tuple(number * FINER for number in numbers)
