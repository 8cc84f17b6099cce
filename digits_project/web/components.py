"""Template tags and filters of the pages' components; templates load them by {% load components %}."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import count

from django import template
from django.template.loader import render_to_string
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from digits_project.web.terms import TERMS

register = template.Library()

WIDTH, HEIGHT, MARGIN = 600, 200, 8  # of a chart without scripts, in its own units
MAX_ROWS = 200  # of a chart's table
COLOURS = 8
UNITS = ((86_400 * 365, "y"), (86_400, "d"), (3600, "h"), (60, "min"))
_numbers = count()


@register.simple_tag(takes_context=True)
def nav_link(context, route: str, text: str) -> SafeString:
    """A link of the navigation, marked if it is the current page."""
    address, request = reverse(route), context.get("request")
    current = SafeString(' aria-current="page"') if request and request.path == address else ""
    return format_html('<a href="{}"{}>{}</a>', address, current, text)


@register.simple_tag
def address_of(route: str, *args) -> str:
    """The URL of a route; "" if this server has none of that name."""
    try:
        return reverse(route, args=args)
    except NoReverseMatch:
        return ""


@register.simple_tag
def term(name: str, text: str = "") -> SafeString:
    """A term with its explanation, which shows on hover, focus and tap. Raises KeyError if it is not in `TERMS`."""
    values = {"word": text or name, "meaning": TERMS[name], "id": f"term-{next(_numbers)}"}
    return render_to_string("components/term.html", values)


@register.filter
def field_title(name: str) -> str:
    """A field's name as words: resize_width as "Resize width"."""
    return name.replace("_", " ").strip().capitalize()


@register.filter
def is_among(value: object, choices: Sequence[tuple[str, str]]) -> bool:
    """Whether one of the choices, (value, title), has this value."""
    return any(value == choice for choice, _ in choices)


@register.filter
def facts(data: object, above: str = "") -> list[tuple[str, str]]:
    """(title, text) of each value in the data of a response; those of an object in it have its name in front."""
    if isinstance(data, Mapping):
        return [fact for name, value in data.items() for fact in facts(value, f"{above} {name}")]
    if isinstance(data, list) and any(isinstance(part, (Mapping, list)) for part in data):
        return [fact for i, part in enumerate(data, 1) for fact in facts(part, f"{above} {i}")]
    text = ", ".join(map(str, data)) if isinstance(data, list) else str(data)
    return [] if data in (None, "", [], {}) else [(field_title(above), text)]


@register.filter
def age(moment: datetime | None) -> str:
    """The time since a moment in one unit: "now", "5 min", "3 d"; a dash for None."""
    if moment is None:
        return "–"
    seconds = (timezone.now() - moment).total_seconds()
    return next((f"{seconds // size:.0f} {unit}" for size, unit in UNITS if seconds >= size), "now")


@register.simple_tag
def spark(values: Sequence[float], label: str) -> SafeString:
    """A sparkline of these values; "" for fewer than two."""
    if len(values) < 2:
        return SafeString("")
    low, high = min(values), max(values)
    span = (high - low) or 1
    step = 100 / (len(values) - 1)
    points = " ".join(f"{i * step:.1f},{22 - 20 * (value - low) / span:.1f}" for i, value in enumerate(values))
    return render_to_string("components/sparkline.html", {"points": points, "label": label})


@register.inclusion_tag("components/chart.html")
def line_chart(title: str, x: Sequence[float], lines: Mapping[str, Sequence[float | None]], x_label: str = "epoch"):
    """A line chart: {name: its values at `x`}. None is a gap."""
    known = [value for values in lines.values() for value in values if value is not None]
    low, high = (min(known), max(known)) if known else (0, 1)
    drawn = [
        {"name": name, "colour": i % COLOURS + 1, "points": _points(x, values, low, high)}
        for i, (name, values) in enumerate(lines.items())
    ]
    step = max(1, -(-len(x) // MAX_ROWS))
    rows = [(_short(at), [_short(values[i]) for values in lines.values()]) for i, at in enumerate(x) if i % step == 0]
    series = [{"name": name, "x": list(x), "y": list(values)} for name, values in lines.items()]
    last = ", ".join(f"{name} {_short(values[-1])}" for name, values in lines.items() if values)
    chart = {"title": title, "x_label": x_label, "lines": drawn, "rows": rows, "json": json.dumps(series)}
    return {"chart": chart | {"summary": f"last {last}" if last else "nothing measured yet"}}


def _points(x: Sequence[float], values: Sequence[float | None], low: float, high: float) -> str:
    """The points of an SVG polyline."""
    begin, width, height = (x[0] if x else 0), ((x[-1] - x[0]) if x else 0) or 1, (high - low) or 1
    inner = HEIGHT - 2 * MARGIN
    return " ".join(
        f"{WIDTH * (at - begin) / width:.1f},{HEIGHT - MARGIN - inner * (value - low) / height:.1f}"
        for at, value in zip(x, values, strict=True)
        if value is not None
    )


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"
