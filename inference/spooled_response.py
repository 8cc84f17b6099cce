"""An answer that may be too long for the memory: written entry by entry, then sent."""

import json
import tempfile
from typing import Any

from django.http import FileResponse, HttpResponse
from django.http.response import HttpResponseBase

MAX_IN_MEMORY = 4 << 20  # bytes; a longer answer waits on disk until it is sent
JSON_TYPE = "application/json; charset=utf-8"


class Answer:
    """`{key: {name: value, …}}`, to the byte as api.PrettyJSONRenderer writes it. A name added again changes nothing.

    It is whole before its first byte is sent, since headers and status depend on its end.
    """

    def __init__(self, key: str):
        self._file = tempfile.SpooledTemporaryFile(MAX_IN_MEMORY)  # noqa: SIM115 - the response closes it
        self._names: set[str] = set()
        self._write(f"{{\n  {_text(key)}: {{")

    def add(self, name: str, value: Any) -> None:
        if name not in self._names:
            self._write("," if self._names else "")
            self._names.add(name)
            entry = _text({name: value})[len("{\n") : -len("\n}")]
            self._write("\n  " + entry.replace("\n", "\n  "))

    def response(self, headers: dict[str, Any]) -> HttpResponseBase:
        """Ends the answer. A short one is an ordinary response, a long one is streamed from disk."""
        self._write("\n  }\n}\n")
        length = self._file.tell()
        self._file.seek(0)
        if length <= MAX_IN_MEMORY:
            with self._file as file:
                return HttpResponse(file.read(), content_type=JSON_TYPE, headers=headers)
        return FileResponse(self._file, content_type=JSON_TYPE, headers=headers)

    def value(self) -> dict:
        """Ends the answer, as plain data: what a page shows."""
        self._write("\n  }\n}\n")
        self._file.seek(0)
        with self._file as file:
            return json.load(file)

    def close(self) -> None:
        self._file.close()

    def _write(self, text: str) -> None:
        self._file.write(text.encode())


def _text(value: Any) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")  # line ends in old JavaScript
