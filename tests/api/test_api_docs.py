"""docs/api.md: its shell commands run against a real server in one shell, every route has a command, and every block of
commands has a twin in Python that works too."""

import contextlib
import io
import re
import shutil
import subprocess
import traceback
from pathlib import Path
from typing import NamedTuple

import pytest
from drf_spectacular.generators import SchemaGenerator

from digits_client import NotAllowed
from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.server import RunningServer
from tests.support.services import temporary_home

# The page's commands start a server and several trainings, which takes long on a busy machine.
pytestmark = [pytest.mark.trainer, pytest.mark.slow(20), pytest.mark.timeout(900)]

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"
BLOCK = re.compile(r"```sh\n(.*?)```\n(?:```python\n(.*?)```\n)?(?:```(?:json)?\n(.*?)```\n)?", re.S)
ADDRESS = "http://127.0.0.1:5000"  # of the reader's server
# Variables that the reader of the page sets, and a `curl` that writes "@ METHOD URL STATUS" of each request to a file:
# in the output itself, the text that job_id prints could come between the parts of such a line.
SHELL_SETUP = """
server={server} digits={digits} image={digits}/4/0.png
job_id() {{ tee -a /dev/stderr | sed -n 's/.*"job_id": "\\(.*\\)",/\\1/p'; }}
note='%{{stderr}}\\n@ %{{method}} %{{url_effective}} %{{http_code}}\\n'
curl() {{ command curl -sS --noproxy '*' -w "$note" "$@" 2>>"$log"; }}
abort_others() {{
  command curl -s "$server/api/v1/models?status=waiting,running" | grep -E -B 1 '"name": "({others})"' |
    sed -n 's/.*"id": "\\(.*\\)",/\\1/p' | while read -r id; do command curl -s -X POST "$server/jobs/$id/abort"; done
}}
"""
# Trainings that the page starts and does not wait for. They are aborted, because they would take half of the time.
OTHERS = ("digits", "more", "scaled", "tuned", "regression", "LeNet, longer")


class Example(NamedTuple):
    """A block of the page: the documented response, the actual output, and [(method, path, status)] of its requests."""

    shown: str
    output: str
    requests: list[tuple[str, str, int]]


class Page(NamedTuple):
    """What came of the page: its examples, and {Python code: traceback} of the twins that failed."""

    examples: list[Example]
    failed_twins: dict[str, str]


@pytest.fixture(scope="module")
def blocks():
    """(shell commands, Python code, documented response) of each block of the page."""
    return BLOCK.findall(PAGE.read_text())


@pytest.fixture(scope="module")
def page(blocks):
    """The page after all its blocks have run against a server: the shell commands except the first, then the twins."""
    if not shutil.which("curl"):
        pytest.skip("there is no curl")
    with temporary_home() as home, RunningServer(home, 0, DIGITS_WEBHOOK_NETWORKS="127.0.0.0/8") as server:
        digits = write_28_pixel_digits(home / "var" / "demo" / "digits")
        for number, name in ((4, "0627.png"), (7, "0007.png")):
            shutil.copy(digits / str(number) / "0.png", digits / str(number) / name)
        url = server.url.rstrip("/")
        setup = SHELL_SETUP.format(server=url, digits=digits, others="|".join(OTHERS))
        examples = run(blocks[1:], home, setup)
        return Page(examples, run_twins([twin.replace(ADDRESS, url) for _, twin, _ in blocks], home))


@pytest.fixture(scope="module")
def examples(page):
    return page.examples


def run_twins(twins, folder):
    """Run the Python code of all blocks one after the other; return {code: traceback} of those that failed."""
    failed, names = {}, {}
    with pytest.MonkeyPatch.context() as here, contextlib.redirect_stdout(io.StringIO()):
        here.chdir(folder)
        for twin in twins:
            try:
                exec(compile(twin, str(PAGE), "exec"), names)
                abort_others(names["server"])
            except Exception:  # noqa: BLE001 - all that fail are reported together
                failed[twin] = traceback.format_exc()
    names["server"].close()
    return failed


def run(blocks, folder, setup):
    """Run the blocks in one shell; the output and the requests of each go to files of their own."""
    script = [
        setup,
        *(script_of(lines, f"{folder}/log.{i}", f"output.{i}") for i, (lines, *_) in enumerate(blocks)),
    ]
    subprocess.run(["sh", "-c", "\n".join(script)], cwd=folder, timeout=500, check=True)
    texts = [
        [(folder / f"{kind}.{i}").read_text(errors="replace") for kind in ("output", "log")] for i in range(len(blocks))
    ]
    return [example(shown, "".join(text)) for (*_, shown), text in zip(blocks, texts, strict=True)]


def script_of(lines, log, output):
    """The commands of a block; what they print goes to a file, and their requests to another."""
    after = "\nabort_others >/dev/null" if "model_name" in lines else ""
    return f"log={log}\n{{\n{lines}}} >>{output} 2>&1 </dev/null{after}"


def abort_others(server):
    """Abort the trainings of OTHERS."""
    for model in server.models.list(status=["Waiting", "Running"]):
        with contextlib.suppress(NotAllowed):  # it has ended meanwhile
            if model.name in OTHERS:
                model.abort()


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


def test_every_block_of_commands_has_a_twin_in_python(blocks):
    assert [commands for commands, twin, _ in blocks if not twin] == []


def test_every_twin_in_python_works(page):
    assert page.failed_twins == {}
