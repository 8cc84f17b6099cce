"""Renders JSON as the public clients of DIGITS parse it, and chooses between JSON and a page."""

import re

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer


# --- renderers -----------------------------------------------------------------------------------------------------
class PrettyJSONRenderer(JSONRenderer):
    """JSON with an indent of two spaces and keys in the given order; some public clients read it line by line."""

    charset = "utf-8"
    ensure_ascii = False

    def get_indent(self, accepted_media_type, renderer_context):
        return 2

    def render(self, data, accepted_media_type=None, renderer_context=None):
        body = super().render(data, accepted_media_type, renderer_context)
        return body + b"\n" if body else body  # so that a shell's next prompt starts on a new line


class SuffixNegotiation(DefaultContentNegotiation):
    """Chooses JSON for a URL with `.json`; else JSON or the page, as the Accept header prefers."""

    def select_renderer(self, request, renderers, format_suffix=None):
        json = next((renderer for renderer in renderers if renderer.format == "json"), renderers[0])
        page = next((renderer for renderer in renderers if renderer.format == "api"), json)
        if format_suffix == "json" or prefers_json(request):
            return json, json.media_type
        return page, page.media_type


def prefers_json(request) -> bool:
    """Whether the Accept header prefers JSON to a page."""
    return _quality(request, "application/json") > _quality(request, "text/html")


def _quality(request, media_type: str) -> float:
    """The q value of `media_type` in the Accept header (RFC 9110, 12.5.1), by the most specific matching range."""
    group = media_type.split("/")[0]
    qualities = {}
    for entry in request.headers.get("Accept", "*/*").split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        q = next((p[2:] for p in parameters if re.fullmatch(r"q=[01](\.\d{0,3})?", p)), "1")
        qualities[name.lower()] = float(q)
    return next((qualities[name] for name in (media_type, f"{group}/*", "*/*") if name in qualities), 0.0)
