"""Template context of the inference pages, beside the JSON."""

from typing import Any

BAR, HEIGHT = 8, 40  # pixels of a histogram


def pairs(value: Any) -> Any:
    """A dict as a list of items. In a template, `{{ dict.items }}` would be the entry named "items" if there is one."""
    return list(value.items()) if isinstance(value, dict) else value


def with_bars(visualizations: list[dict]) -> list[dict]:
    """The visualizations, each with `bars`: its histogram as the path of an SVG."""
    return [entry | {"bars": _bars(entry)} for entry in visualizations]


def _bars(entry: dict) -> str:
    counts = (entry["data_stats"]["histogram"] or [[]])[0]
    heights = [round(HEIGHT * count / max(counts), 1) for count in counts]
    bars = [f"M{BAR * i},{HEIGHT}v{-height}h{BAR - 1}v{height}z" for i, height in enumerate(heights)]
    return "".join(bars)
