"""docs/api.md: its shell commands run against a real server in one shell, and every route has a command."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
from drf_spectacular.generators import SchemaGenerator

from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.server import RunningServer
from tests.support.services import temporary_home

# The page's commands start a server and several trainings, which takes long on a busy machine.
pytestmark = [pytest.mark.trainer, pytest.mark.slow(8), pytest.mark.timeout(400)]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
BLOCK = re.compile(r"```sh\n(.*?)```\n(?:```(?:json)?\n(.*?)```\n)?", re.S)
# Variables that the reader of the page sets, and a `curl` that writes "@ METHOD URL STATUS" of each request to a file:
# in the output itself, the text that job_id prints could come between the parts of such a line.
SHELL_SETUP = """
server={server} digits={digits} image={digits}/4/0.png
job_id() {{ tee -a /dev/stderr | sed -n 's/.*"job_id": "\\(.*\\)",/\\1/p'; }}
note='%{{stderr}}\\n@ %{{method}} %{{url_effective}} %{{http_code}}\\n'
curl() {{ command curl -sS --noproxy '*' -w "$note" "$@" 2>>"$log"; }}
"""


class Example(NamedTuple):
    """A block of the page: the documented response, the actual output, and [(method, path, status)] of its requests."""

    shown: str
    output: str
    requests: list[tuple[str, str, int]]


@pytest.fixture(scope="module")
def examples():
    """The blocks of the page except the first, after all have run against a server."""
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    with temporary_home() as home, RunningServer(home, 0, DIGITS_WEBHOOK_NETWORKS="127.0.0.0/8") as server:
        digits = write_28_pixel_digits(home / "images")
        for number, name in ((4, "0627.png"), (7, "0007.png")):
            shutil.copy(digits / str(number) / "0.png", digits / str(number) / name)
        return run(
            BLOCK.findall(PAGE.read_text())[1:], home, SHELL_SETUP.format(server=server.url.rstrip("/"), digits=digits)
        )


def run(blocks, folder, setup):
    """Run the blocks in one shell; the output and the requests of each go to files of their own."""
    script = [
        setup,
        *(f"log={folder}/log.{i}\n{{\n{lines}}} >>output.{i} 2>&1 </dev/null" for i, (lines, _) in enumerate(blocks)),
    ]
    subprocess.run(["sh", "-c", "\n".join(script)], cwd=folder, timeout=300, check=True)
    texts = [
        [(folder / f"{kind}.{i}").read_text(errors="replace") for kind in ("output", "log")] for i in range(len(blocks))
    ]
    return [example(shown, "".join(text)) for (_, shown), text in zip(blocks, texts, strict=True)]


def example(shown, output):
    log = re.findall(r"^@ (\S+) https?://[^/]+(/[^?\s]*)\S* (\d+)$", output, re.M)
    return Example(shown, output, [(method, path, int(status)) for method, path, status in log])


def test_every_documented_request_gets_the_documented_status(examples):
    for shown, output, requests in examples:
        shown_errors = [int(status) for status in re.findall(r"^HTTP/1.1 (\d+)", shown, re.M) if int(status) >= 400]
        assert requests, output
        assert [status for *_, status in requests if status >= 400] == shown_errors, output


def test_every_documented_key_is_in_the_response(examples):
    for shown, output, _ in examples:
        keys = set(re.findall(r'"([a-zA-Z_]\w*)":', shown))
        assert keys <= set(re.findall(r'"(\w+)":', output)), output


def test_every_route_has_a_documented_request(examples):
    requested = {(method, path) for _, _, requests in examples for method, path, _ in requests}
    missing = [
        f"{method.upper()} {path}"
        for path, methods in SchemaGenerator().get_schema(public=True)["paths"].items()
        for method in methods
        if not any(method.upper() == m and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), p) for m, p in requested)
    ]
    assert missing == []
