"""A JSON response that can be too large for memory: written entry by entry, on disk if large, then sent."""

import json
import shutil
import tempfile
from typing import Any

from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase

MAX_IN_MEMORY = 4 << 20  # bytes; a larger response is spooled to disk
JSON_TYPE = "application/json; charset=utf-8"


class SpooledResponse:
    """`{key: {name: value, …}}`, byte for byte as api.PrettyJSONRenderer writes it. `further` is another one, whose key
    follows in the same object; it is closed with this one.

    If a name occurs several times, only its first value counts. The response is complete before its first byte is
    sent, because headers and status depend on all entries.
    """

    def __init__(self, key: str, further: "SpooledResponse | None" = None):
        self._file = tempfile.SpooledTemporaryFile(MAX_IN_MEMORY)  # noqa: SIM115 - the response closes it
        self._names: set[str] = set()
        self._further = further
        self._write(f"{{\n  {_text(key)}: {{")

    def add(self, name: str, value: Any) -> None:
        if name not in self._names:
            self._write("," if self._names else "")
            self._names.add(name)
            entry = _text({name: value})[len("{\n") : -len("\n}")]
            self._write("\n  " + entry.replace("\n", "\n  "))

    def response(self, headers: dict[str, Any]) -> HttpResponseBase:
        """Finish the JSON. Returns an ordinary response, or one that streams from disk if it is large."""
        self._finish()
        length = self._file.tell()
        self._file.seek(0)
        if length <= MAX_IN_MEMORY:
            with self._file as file:
                return HttpResponse(file.read(), content_type=JSON_TYPE, headers=headers)
        return FileResponse(self._file, content_type=JSON_TYPE, headers=headers)

    def value(self) -> dict:
        """Finish the JSON. Returns its data, for a page."""
        self._finish()
        self._file.seek(0)
        with self._file as file:
            return json.load(file)

    def close(self) -> None:
        self._file.close()
        if self._further:
            self._further.close()

    def _finish(self) -> None:
        self._write("\n  }")
        if self._further:
            self._write(",\n")
            with self._further._file as entries:
                entries.seek(len("{\n"))
                shutil.copyfileobj(entries, self._file)
            self._write("\n  }")
        self._write("\n}\n")

    def _write(self, text: str) -> None:
        self._file.write(text.encode())


def _text(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")  # line ends in old JavaScript
