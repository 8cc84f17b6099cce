"""Renders JSON as the public clients of DIGITS parse it, and chooses between JSON and a page."""

import json
import re
from typing import Any

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import JSONRenderer

API = "/api/v1/"  # its routes have no pages
SCALARS = {str, int, float, bool, type(None)}
CELLS, ROWS = ",\n      ", "\n    },\n    {\n      "  # between the values of a row, and between two rows of a table


# --- renderers -----------------------------------------------------------------------------------------------------
class PrettyJSONRenderer(JSONRenderer):
    """JSON with an indent of two spaces and keys in the given order; some public clients read it line by line."""

    charset = "utf-8"
    ensure_ascii = False

    def get_indent(self, accepted_media_type, renderer_context):
        return 2

    def render(self, data, accepted_media_type=None, renderer_context=None):
        tables = _tables(data)
        if tables:
            body = self._render_tables(data, tables)
        else:
            body = super().render(data, accepted_media_type, renderer_context)
        return body + b"\n" if body else body  # so that a shell's next prompt starts on a new line

    def _render_tables(self, data: dict[str, Any], tables: set[str]) -> bytes:
        """The same bytes as from the base class, in a third of the time if most of `data` is tables."""
        members = []
        for key, value in data.items():
            text = self._table(value) if key in tables else self._encode(value, indent=2).replace("\n", "\n  ")
            members.append(f"  {self._encode(key)}: {text}")
        text = "{\n" + ",\n".join(members) + "\n}"
        return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode()

    def _table(self, value: list[dict]) -> str:
        # json's fast encoder knows no indent, but it takes any separator. Inside of strings a line break is escaped, so
        # what looks like the end of a row is one.
        rows = self._encode(value, separators=(CELLS, ": "))[2:-2].replace("}" + CELLS + "{", ROWS)
        return "[\n    {\n      " + rows + "\n    }\n  ]"

    def _encode(self, value: Any, **options: Any) -> str:
        return json.dumps(value, cls=self.encoder_class, ensure_ascii=False, allow_nan=not self.strict, **options)


def _tables(data: Any) -> set[str]:
    """The keys of an object's values that are tables."""
    if not isinstance(data, dict) or not all(type(key) is str for key in data):
        return set()
    return {key for key, value in data.items() if _is_table(value)}


def _is_table(value: Any) -> bool:
    """Whether a value is a list of objects that hold no other lists or objects, and are not empty."""
    return (
        type(value) is list
        and value != []
        and all(type(row) is dict and row and SCALARS.issuperset(map(type, row.values())) for row in value)
    )


class CompactJSONRenderer(PrettyJSONRenderer):
    """JSON without spaces, for long lists of numbers."""

    def get_indent(self, accepted_media_type, renderer_context):
        return None


class SuffixNegotiation(DefaultContentNegotiation):
    """Chooses JSON for a URL with `.json`; else JSON or the page, as the Accept header prefers."""

    def select_renderer(self, request, renderers, format_suffix=None):
        plain = next((renderer for renderer in renderers if renderer.format == "json"), renderers[0])
        page = next((renderer for renderer in renderers if renderer.format == "api"), plain)
        if format_suffix == "json" or prefers_json(request):
            return plain, plain.media_type
        return page, page.media_type


def wants_json(request) -> bool:
    """Whether the URL ends in `.json` or is under /api/v1, or the Accept header prefers JSON to a page."""
    return request.path.endswith(".json") or request.path_info.startswith(API) or prefers_json(request)


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
