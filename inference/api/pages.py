"""Answers as a browser sees them: DRF's page of the view, with the answer to look at above the JSON."""

from typing import Any

from digits_project.api.browsable import BrowsablePage

BAR, HEIGHT = 8, 40  # pixels of a histogram


class AnswerPage(BrowsablePage):
    """Shows what the view has collected in `shown`."""

    template = "inference/answer.html"

    def get_context(self, data, accepted_media_type, renderer_context):
        context = super().get_context(data, accepted_media_type, renderer_context)
        shown = dict(getattr(renderer_context["view"], "shown", {}))
        if shown.get("visualizations"):
            shown["visualizations"] = [entry | {"bars": _bars(entry)} for entry in shown["visualizations"]]
        return context | shown


def pairs(value: Any) -> Any:
    """A dict as its items. In a template `{{ dict.items }}` is the entry named "items", if there is one."""
    return list(value.items()) if isinstance(value, dict) else value


def _bars(entry: dict) -> str:
    """The histogram of a visualization as the path of an SVG."""
    counts = (entry["data_stats"]["histogram"] or [[]])[0]
    heights = [round(HEIGHT * count / max(counts), 1) for count in counts]
    bars = [f"M{BAR * i},{HEIGHT}v{-height}h{BAR - 1}v{height}z" for i, height in enumerate(heights)]
    return "".join(bars)
