"""The demo's requests. Each can be sent, and shown as the curl command that sends the same request."""

import http.client
import json
import secrets
import shlex
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

WIDTH = 78  # columns of a line
TIMEOUT = 60  # seconds for a response

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy for 127.0.0.1


class DemoFailed(Exception):
    """The demo can't go on; the text tells the user why."""


@dataclass(frozen=True)
class Request:
    """A GET request, or with `fields` (also {}) a POST of a form."""

    url: str
    fields: Mapping[str, Any] | None = None
    files: Mapping[str, Path] = field(default_factory=dict)

    def curl(self) -> str:
        """The curl command that sends the request: one line, or several that end in a backslash."""
        options = [" ".join(map(shlex.quote, option)) for option in self._options()]
        lines = [f"curl {shlex.quote(self.url)}"]
        for option in options:
            if len(lines[-1]) + len(option) + 3 <= WIDTH:
                lines[-1] += f" {option}"
            else:
                lines.append(f"  {option}")
        return " \\\n".join(lines)

    def send(self) -> str:
        """Send the request. Returns the body of the response. Raises DemoFailed for an error status."""
        body, headers = self._body()
        try:
            with _opener.open(urllib.request.Request(self.url, body, headers), timeout=TIMEOUT) as response:
                return response.read().decode()
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            raise DemoFailed(f"{self.url} answered {error.code} {error.reason}:\n{text}") from error
        except (OSError, http.client.HTTPException) as error:
            raise DemoFailed(f"{self.url} does not answer: {error}") from error

    def json(self) -> dict:
        """Send the request. Returns the JSON object of the response. Raises DemoFailed."""
        text = self.send()
        try:
            return json.loads(text)
        except ValueError as error:
            raise DemoFailed(f"{self.url} answered with something that is not JSON:\n{text}") from error

    def _options(self) -> list[list[str]]:
        if self.fields is None:
            return []
        if self.files:
            # With -F in place of --form-string, curl would interpret a value that begins with @ or contains ;type=.
            values = [["--form-string", f"{name}={value}"] for name, value in self.fields.items()]
            return values + [["-F", f"{name}=@{_quoted(path)}"] for name, path in self.files.items()]
        return [
            ["-d" if quote(str(value)) == str(value) else "--data-urlencode", f"{name}={value}"]
            for name, value in self.fields.items()
        ] or [["-X", "POST"]]

    def _body(self) -> tuple[bytes | None, dict[str, str]]:
        if self.fields is None:
            return None, {}
        return multipart(self.fields, self.files) if self.files else (urlencode(self.fields).encode(), {})


def _quoted(path: Path) -> str:
    """A path for curl's -F, in quotes if it contains a separator of -F."""
    text = str(path)
    if not set(text) & set(';,"\\'):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def multipart(fields: Mapping[str, Any], files: Mapping[str, Path]) -> tuple[bytes, dict[str, str]]:
    """The body and the headers of a multipart/form-data request (RFC 7578)."""
    boundary = secrets.token_hex(16)
    parts = [(f'name="{name}"', str(value).encode()) for name, value in fields.items()]
    parts += [(f'name="{name}"; filename="{quote(path.name)}"', path.read_bytes()) for name, path in files.items()]
    body = b"".join(
        f"--{boundary}\r\nContent-Disposition: form-data; {about}\r\n\r\n".encode() + content + b"\r\n"
        for about, content in parts
    )
    return body + f"--{boundary}--\r\n".encode(), {"Content-Type": f"multipart/form-data; boundary={boundary}"}
