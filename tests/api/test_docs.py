"""docs/api.md: every line of it is run, in one shell, against a whole server, and every route has a line."""

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

# A server's start and a page of trainings, which is long on a busy machine.
pytestmark = [pytest.mark.trainer, pytest.mark.slow(8), pytest.mark.timeout(400)]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
BLOCK = re.compile(r"```sh\n(.*?)```\n(?:```(?:json)?\n(.*?)```\n)?", re.S)
# Instead of what a reader sets; and a curl that notes what it did, in a file: it writes a note piece by piece, and
# what job_id shows of the answer would get in between.
SETTING = """
server={server} digits={digits} image={digits}/4/0.png
job_id() {{ tee -a /dev/stderr | sed -n 's/.*"job_id": "\\(.*\\)",/\\1/p'; }}
note='%{{stderr}}\\n@ %{{method}} %{{url_effective}} %{{http_code}}\\n'
curl() {{ command curl -sS --noproxy '*' -w "$note" "$@" 2>>"$noted"; }}
"""


class Example(NamedTuple):
    """A block of the page: what is shown as its answer, what it said, and [(method, path, status)] of its requests."""

    shown: str
    said: str
    requests: list[tuple[str, str, int]]


@pytest.fixture(scope="module")
def examples():
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    with temporary_home() as home, RunningServer(home, 0) as server:
        digits = write_28_pixel_digits(home / "images")
        for number, name in ((4, "0627.png"), (7, "0007.png")):
            shutil.copy(digits / str(number) / "0.png", digits / str(number) / name)
        return run(
            BLOCK.findall(PAGE.read_text())[1:], home, SETTING.format(server=server.url.rstrip("/"), digits=digits)
        )


def run(blocks, folder, setting):
    script = [
        setting,
        *(f"noted={folder}/noted.{i}\n{{\n{lines}}} >>said.{i} 2>&1 </dev/null" for i, (lines, _) in enumerate(blocks)),
    ]
    subprocess.run(["sh", "-c", "\n".join(script)], cwd=folder, timeout=300, check=True)
    texts = [
        [(folder / f"{kind}.{i}").read_text(errors="replace") for kind in ("said", "noted")] for i in range(len(blocks))
    ]
    return [example(shown, "".join(text)) for (_, shown), text in zip(blocks, texts, strict=True)]


def example(shown, said):
    noted = re.findall(r"^@ (\S+) https?://[^/]+(/[^?\s]*)\S* (\d+)$", said, re.M)
    return Example(shown, said, [(method, path, int(status)) for method, path, status in noted])


def test_every_line_is_answered_as_the_page_shows(examples):
    for shown, said, requests in examples:
        refused = [int(status) for status in re.findall(r"^HTTP/1.1 (\d+)", shown, re.M) if int(status) >= 400]
        assert requests, said
        assert [status for *_, status in requests if status >= 400] == refused, said


def test_every_key_that_is_shown_is_in_the_answer(examples):
    for shown, said, _ in examples:
        keys = set(re.findall(r'"([a-zA-Z_]\w*)":', shown))
        assert keys <= set(re.findall(r'"(\w+)":', said)), said


def test_every_route_has_a_line(examples):
    asked = {(method, path) for _, _, requests in examples for method, path, _ in requests}
    missing = [
        f"{method.upper()} {path}"
        for path, methods in SchemaGenerator().get_schema(public=True)["paths"].items()
        for method in methods
        if not any(method.upper() == m and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), p) for m, p in asked)
    ]
    assert missing == []
