"""The demo: its parts without a server, and the whole command."""

import os
import re
import shutil
import subprocess
import sys
import threading
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import psutil
import pytest
from PIL import Image

from digits_project.common.terminal import Screen
from digits_project.demo.client import WIDTH, DemoFailed, Request
from digits_project.demo.walkthrough import Table, image_to_classify, write_digits
from tests.support.console import Pipe

ROOT = Path(__file__).resolve().parents[2]
URL = "http://127.0.0.1:5000/x.json"
AWKWARD = """it's "5 %" & more; $HOME `id` \\ é @x;type=a"""


# --- the curl line of a request -------------------------------------------------------------------------------------
def words(line):
    """The arguments that a shell passes to curl for this line."""
    script = "curl() { printf '%s\\0' \"$@\"; }\n" + line
    return subprocess.run(["sh", "-c", script], capture_output=True, check=True).stdout.decode().split("\0")[:-1]


class Recorder(BaseHTTPRequestHandler):
    """Appends each request to `server.received`, and responds with `server.response`."""

    def handle_any(self):
        content_type = self.headers["Content-Type"] or ""
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        if content_type.startswith("multipart/"):
            message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
            parts = [(part, dict(part["Content-Disposition"].params)) for part in message.iter_parts()]
            form = {
                parameters["name"]: (parameters.get("filename"), part.get_payload(decode=True))
                for part, parameters in parts
            }
        else:
            form = parse_qs(body.decode(), strict_parsing=bool(body))
        self.server.received.append((self.command, self.path, form))
        status, response = self.server.response
        self.send_response(status)
        self.end_headers()
        self.wfile.write(response)

    do_GET = do_POST = handle_any

    def log_message(self, *arguments):
        """Keep requests out of standard error."""


@pytest.fixture
def recorder():
    with HTTPServer(("127.0.0.1", 0), Recorder) as server:
        server.received, server.response = [], (200, b"{}")
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def upload(tmp_path):
    path = tmp_path / 'a, "b"; é.png'
    path.write_bytes(b"\x89PNG\r\n\x00 not text")
    return path


def test_a_shell_passes_special_characters_of_the_curl_line_unchanged():
    line = Request(URL, {"name": AWKWARD, "folder": "/data/digits"}).curl()
    assert words(line) == [URL, "--data-urlencode", f"name={AWKWARD}", "-d", "folder=/data/digits"]


def test_a_shell_passes_the_path_of_an_upload_unchanged(upload):
    line = Request(URL, {"job_id": "1"}, {"image_file": upload}).curl()
    quoted = str(upload).replace('"', '\\"')
    assert words(line) == [URL, "--form-string", "job_id=1", "-F", f'image_file=@"{quoted}"']


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")
def test_the_curl_line_sends_the_same_request_as_the_demo(recorder, upload):
    url = f"http://127.0.0.1:{recorder.server_port}/x.json"
    fields = {"name": AWKWARD, "folder": "/data/digits", "size": 28}
    for request in (Request(url), Request(url, {}), Request(url, fields), Request(url, fields, {"image": upload})):
        request.send()
        curl = ["sh", "-c", "curl() { command curl -sS --noproxy '*' \"$@\"; }\n" + request.curl()]
        subprocess.run(curl, check=True, capture_output=True)
    by_demo, by_curl = recorder.received[::2], recorder.received[1::2]
    assert [command for command, _, _ in by_demo] == ["GET", "POST", "POST", "POST"]
    assert [without_file_names(form) for *_, form in by_demo] == [without_file_names(form) for *_, form in by_curl]
    assert by_demo[2][2] == {"name": [AWKWARD], "folder": ["/data/digits"], "size": ["28"]}
    assert by_demo[3][2]["image"][1] == upload.read_bytes()


def without_file_names(form):
    """The form without file names: programs escape them differently, and the server ignores them."""
    return {name: value[-1] for name, value in form.items()}


def test_a_long_curl_line_is_wrapped():
    line = Request(URL, {f"field_{number}": "x" * 20 for number in range(12)}).curl()
    assert max(len(part) for part in line.split("\n")) <= WIDTH + len(" \\")
    assert len(words(line)) == 1 + 2 * 12


def test_an_error_response_raises_with_the_servers_message(recorder):
    recorder.response = (400, b'{"errors": "no such folder"}')
    with pytest.raises(DemoFailed, match=r"answered 400 Bad Request:\n.*no such folder"):
        Request(f"http://127.0.0.1:{recorder.server_port}/x.json", {"a": 1}).json()


def test_a_request_to_a_stopped_server_raises_with_the_reason(recorder):
    recorder.shutdown()
    recorder.server_close()
    with pytest.raises(DemoFailed, match="does not answer"):
        Request(f"http://127.0.0.1:{recorder.server_port}/x.json").json()


# --- the images ----------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    assert write_digits(folder) == write_digits(folder) == 1797
    return folder


def test_writing_the_digits_twice_gives_1797_images_in_ten_folders(digits):
    counts = {category.name: len(list(category.iterdir())) for category in digits.iterdir()}
    assert sorted(counts) == [str(digit) for digit in range(10)]
    assert sum(counts.values()) == 1797
    assert min(counts.values()) >= 174


def test_a_digit_is_a_gray_png_of_28_by_28_with_a_dark_margin(digits):
    with Image.open(digits / "3" / "0003.png") as image:
        assert (image.format, image.mode, image.size) == ("PNG", "L", (28, 28))
        assert image.getextrema()[1] > 200
        assert min(image.getbbox()) >= 4
        assert max(image.getbbox()) <= 24


def test_the_image_to_classify_is_from_the_validation_split(tmp_path):
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    (tmp_path / "val.txt").write_text("/pets/a 1.png 0\n/pets/b 2.png 1\n/pets/c.png 0\n")
    assert image_to_classify(tmp_path) == (Path("/pets/b 2.png"), "dog")


# --- the printed table ---------------------------------------------------------------------------------------------
def test_each_epoch_is_one_row_of_the_table_though_the_model_is_polled_repeatedly():
    stream = Pipe()
    table = Table(Screen(stream))
    first = {"epoch": [1], "loss": [0.4], "accuracy": [0.9]}
    both = {"epoch": [1, 2], "loss": [0.4, 0.1], "accuracy": [0.9, 0.975]}
    train = {"epoch": [0.5, 1, 1.5, 2], "loss": [3.0, 1.0, 0.5, 0.1]}
    for response in ({}, {"val_outputs": first, "train_outputs": train}, {"val_outputs": both, "train_outputs": train}):
        table.update(response)
    rows = [line.split() for line in stream.getvalue().splitlines()[1:]]
    assert [(row[:3], row[-2:]) for row in rows] == [
        (["1", "2.0000", "0.4000"], ["90.00", "%"]),
        (["2", "0.3000", "0.1000"], ["97.50", "%"]),
    ]


# --- the whole command ----------------------------------------------------------------------------------------------
@pytest.mark.slow(30)
@pytest.mark.trainer
@pytest.mark.timeout(180)
def test_the_demo_ends_with_a_good_classifier_and_no_process(home):
    env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    env |= {"DIGITS_HOME": str(home), "DIGITS_JOBS_DIR": str(home / "jobs"), "DIGITS_PORT": "0"}
    run = subprocess.run([sys.executable, "-m", "digits_project.demo"], env=env, cwd=ROOT, capture_output=True)
    output = run.stdout.decode()
    assert run.returncode == 0, output + run.stderr.decode()
    assert float(re.search(r"Done in \d+ s: ([\d.]+) % of the validation images", output)[1]) >= 97
    assert len(list((home / "jobs").glob("*/snapshots/*/model.onnx"))) == 10
    password = re.search("user admin, password ([^ ]+) ", output)[1]
    assert (output.count(password), output.count("never shown again")) == (1, 1)
    assert processes_on(home) == []


def processes_on(home):
    """The ids of the processes that were started on `home`."""
    processes = psutil.process_iter(["pid", "cwd", "cmdline", "environ"])
    return [process.info["pid"] for process in processes if str(home) in str(process.info)]
