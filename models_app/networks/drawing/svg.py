"""Draws a network as an SVG picture: a box for each layer, a strip below it for each layer that works in place on its
output, an arrow from each output to the layer that reads it. The file refers to nothing outside; text is escaped."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from textwrap import wrap

from models_app.networks.drawing.graph_layout import Placed, Point, Spacing, place
from models_app.networks.graph import Network, Node, parameter_count
from models_app.networks.layer import PHASES, Layer
from models_app.networks.layers import data_and_losses
from models_app.networks.layers.layer_type import describe

WIDTH, LINE, STRIP, PADDING, MARGIN = 212.0, 15.0, 20.0, 7.0, 24.0
TITLE = 44.0
CHARACTERS = 34  # that fit into a box
MAX_LINES = 3  # of parameters

_COLOURS = {
    "#dbe7f5": ("Convolution", "Deconvolution"),
    "#e6def2": ("InnerProduct",),
    "#dcefdc": ("Pooling",),
    "#fbe3d6": ("ReLU", "PReLU", "ELU", "Sigmoid", "TanH", "AbsVal", "Clip", "Exp", "Log", "Power"),
    "#fbf3cf": ("BatchNorm", "Scale", "Bias", "LRN"),
    "#e9e9e9": ("Dropout",),
    "#d5eef0": ("Concat", "Slice", "Split", "Eltwise", "Flatten", "Reshape", "Crop", "Silence"),
    "#f8d9e0": ("SoftmaxWithLoss", "SigmoidCrossEntropyLoss", "EuclideanLoss", "Accuracy"),
    "#d9dde3": ("Data", "Input"),
    "#cfe8d4": ("Softmax",),
}
_COLOUR_OF = {kind: colour for colour, kinds in _COLOURS.items() for kind in kinds}

_WORDS = {
    "bias_term": {False: "no bias", True: "with bias"},
    "global_pooling": {True: "whole image", False: ""},
    "mirror": {True: "mirrored", False: ""},
}
_SHORTER = {
    "crop_size": "crop",
    "dropout_ratio": "",
    "local_size": "over",
    "loss_weight": "weight",
    "moving_average_fraction": "averages",
    "negative_slope": "slope",
    "num_output": "output",
    "operation": "",
    "pool": "",
}

_STYLE = (
    "text{font-family:ui-sans-serif,system-ui,'Segoe UI',Helvetica,Arial,sans-serif;font-size:11px;fill:#333}"
    ".name{font-weight:600;font-size:12px;fill:#111}.title{font-weight:600;font-size:16px;fill:#111}"
    "rect{stroke:#8a94a3;stroke-width:1}path{fill:none;stroke:#7b8491;stroke-width:1.3}"
)


@dataclass
class Box:
    """A layer, and the later layers that work in place on its output."""

    layers: list[Layer]
    nodes: dict[str, Node] = field(default_factory=dict)  # by the layer's name, of any phase

    @property
    def height(self) -> float:
        return 2 * PADDING + LINE * len(self.lines()) + STRIP * (len(self.layers) - 1)

    def lines(self) -> list[str]:
        """The name of the box's first layer, and the lines of its parameters."""
        layer = self.layers[0]
        node = self.nodes[layer.name]
        described = wrap(f"{layer.type} {settings(layer)}", CHARACTERS, max_lines=MAX_LINES, break_on_hyphens=False)
        shape = (
            describe(node.outputs[0]) if node.outputs and not isinstance(node.kind, data_and_losses.Criterion) else ""
        )
        count = sum(math.prod(weight.shape) for weight in node.weights if weight.learned)
        sizes = [f"→ {shape}"] * bool(shape) + [f"{count:,} parameters"] * bool(count)
        phases = "" if set(layer.phases) == set(PHASES) else f"only in: {', '.join(layer.phases)}"
        return [line for line in (layer.name, *described, " · ".join(sizes), phases) if line]


def svg(network: Network) -> str:
    """The picture as SVG text. The network must have been checked."""
    boxes, edges = _boxes(network)
    placed = place([(WIDTH, box.height) for box in boxes], edges, Spacing())
    width, height = placed.width + 2 * MARGIN, placed.height + TITLE + 2 * MARGIN
    title = f"{describe(network.input_shape)} · {parameter_count(network):,} parameters · {len(network.layers)} layers"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{_text(network.name)}">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<polygon points="0,1 8,4 0,7" fill="#7b8491"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" style="fill:#fff;stroke:none"/>',
        f'<text class="title" x="{MARGIN}" y="{MARGIN + 8}">{_text(network.name)}</text>',
        f'<text x="{MARGIN}" y="{MARGIN + 26}">{title}</text>',
        f'<g transform="translate({MARGIN},{MARGIN + TITLE})">',
        *_arrows(placed),
        *(part for box, at in zip(boxes, placed.boxes, strict=True) for part in _drawn(box, at)),
        "</g></svg>\n",
    ]
    return "\n".join(parts)


def settings(layer: Layer) -> str:
    """A layer's parameters, shortened; fillers are left out."""
    words: list[str] = []
    for name, value in layer.parameters.items():
        if isinstance(value, Mapping):
            continue
        if name == "kernel_size":
            words.insert(0, describe(tuple(value) if isinstance(value, (list, tuple)) else (value, value)))
        elif name in _WORDS:
            words.append(_WORDS[name].get(value, ""))
        else:
            shown = "×".join(map(str, value)) if isinstance(value, (list, tuple)) else f"{value}"
            words.append(f"{_SHORTER.get(name, name)} {shown}".lstrip())
    return ", ".join(word.replace(" ", "\xa0") for word in words if word)  # lines are broken only at commas


def _boxes(network: Network) -> tuple[list[Box], list[tuple[int, int]]]:
    """The boxes in the layers' order, and the pairs (from, to) of boxes where one reads the other's output. Labels get
    no arrows: these would cross the whole picture and say no more than the type of the loss does."""
    boxes: list[Box] = []
    home: dict[str, int] = {}  # of a layer, by name and phases
    edges: dict[tuple[int, int], None] = {}
    for layer in network.layers:
        over = _below(layer, network, boxes, home)
        number = len(boxes) if over is None else over
        if over is None:
            boxes.append(Box([]))
        boxes[number].layers.append(layer)
        home[_key(layer)] = number
    for phase in PHASES:
        made: dict[str, int | None] = {}
        for node in network.nodes(phase):
            number = home[_key(node.layer)]
            boxes[number].nodes.setdefault(node.layer.name, node)
            for bottom in node.layer.bottoms:
                source = made[bottom]
                if source is not None and source != number:
                    edges[source, number] = None
            is_source = isinstance(node.kind, data_and_losses.DataSource)
            made |= {top: None if is_source and i else number for i, top in enumerate(node.layer.tops)}
    return boxes, list(edges)


def _key(layer: Layer) -> str:
    return f"{layer.name}\n{layer.phases}"


def _below(layer: Layer, network: Network, boxes: list[Box], home: dict[str, int]) -> int | None:
    """The box in which the layer is a strip: the box of the layer whose only output it overwrites. None: its own
    box."""
    if not boxes or len(layer.bottoms) != 1 or layer.bottoms != layer.tops:
        return None
    last = boxes[-1].layers[-1]
    return len(boxes) - 1 if last.tops[:1] == layer.tops and last.phases == layer.phases else None


def _arrows(placed: Placed) -> Iterator[str]:
    for way in placed.ways:
        yield f'<path d="{_curve(way)}" marker-end="url(#arrow)"/>'


def _curve(way: list[Point]) -> str:
    """The path of an arrow: curved between ranks, straight through them."""
    (x, y), *rest = way
    parts = [f"M{x:.1f},{y:.1f}"]
    for after_x, after_y in rest:
        if after_x == x:
            parts.append(f"V{after_y:.1f}")
        else:
            middle = (y + after_y) / 2
            parts.append(f"C{x:.1f},{middle:.1f} {after_x:.1f},{middle:.1f} {after_x:.1f},{after_y:.1f}")
        x, y = after_x, after_y
    return " ".join(parts)


def _drawn(box: Box, at: Point) -> Iterator[str]:
    """A box whose upper side is centred at this point, and the strips below it."""
    left, top = at[0] - WIDTH / 2, at[1]
    lines = box.lines()
    yield _rectangle(box.layers[0], left, top, box.height - STRIP * (len(box.layers) - 1), lines)
    for number, line in enumerate(lines):
        style = ' class="name"' if number == 0 else ""
        y = top + PADDING + LINE * number + 11
        yield f'<text{style} x="{at[0]:.1f}" y="{y:.1f}" text-anchor="middle">{_text(_short(line))}</text>'
    y = top + box.height - STRIP * (len(box.layers) - 1)
    for layer in box.layers[1:]:
        line = " ".join(filter(None, [layer.type, settings(layer)]))
        yield _rectangle(layer, left, y, STRIP, [layer.name, line])
        yield f'<text x="{at[0]:.1f}" y="{y + 14:.1f}" text-anchor="middle">{_text(_short(line))}</text>'
        y += STRIP


def _rectangle(layer: Layer, left: float, top: float, height: float, lines: list[str]) -> str:
    colour = _COLOUR_OF.get(layer.type, "#eee")
    size = f'x="{left:.1f}" y="{top:.1f}" width="{WIDTH:.0f}" height="{height:.1f}" rx="4"'
    return f'<rect {size} fill="{colour}"><title>{_text(chr(10).join(lines))}</title></rect>'


def _short(line: str) -> str:
    return line if len(line) <= CHARACTERS else line[: CHARACTERS - 1] + "…"


def _text(text: str) -> str:
    return escape(text, quote=True)
