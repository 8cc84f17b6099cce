"""A whole server as a test's subject: `python -m digits_project.stack` in a home of its own."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]


class Run:
    """A `python -m digits_project.stack` on `home`, once it has said that it is running."""

    def __init__(self, home, port, **variables):
        self.home = home
        self.said = home / "said.txt"
        env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        env.pop("ORT_DISABLE_TELEMETRY", None)
        env |= {"DIGITS_HOME": str(home), "DIGITS_PORT": str(port), "DIGITS_JOBS_DIR": str(home / "jobs"), **variables}
        self.command = {"args": [sys.executable, "-m", "digits_project.stack"], "env": env, "cwd": ROOT}

    def __enter__(self):
        with self.said.open("w") as output:
            self.process = subprocess.Popen(**self.command, stdout=output, stderr=output)
        until(lambda: "DIGITS is running" in self.said.read_text() or self.process.poll() is not None, 90)
        assert self.process.poll() is None, self.said.read_text()
        self.url = json.loads((self.home / "stack.json").read_text())["url"]
        self.parts = psutil.Process(self.process.pid).children(recursive=True)
        return self

    def __exit__(self, *exception):
        self.process.terminate()
        self.process.wait(30)

    def again(self):
        """A second start beside this one."""
        return subprocess.run(**self.command, capture_output=True, text=True)

    def children(self):
        return psutil.Process(self.process.pid).children()

    def part(self, *words):
        """The child whose command line holds these words."""
        processes = [process.info for process in psutil.process_iter(["pid", "ppid", "cmdline"])]
        children = [info for info in processes if info["ppid"] == self.process.pid]
        return next(
            (psutil.Process(info["pid"]) for info in children if set(words) <= set(info["cmdline"] or [])), None
        )

    def get(self, path):
        """The status code of a GET."""
        return self._ask("GET", path)[0]

    def json(self, path):
        """The JSON of a GET."""
        return json.loads(self._ask("GET", path)[1])

    def send(self, method, path, **fields):
        """(status code, body) of a request with these fields, as JSON."""
        return self._ask(method, path, json.dumps(fields), {"Content-Type": "application/json"})

    def create(self, path, **fields):
        """The id of the job that a POST creates."""
        status, body = self.send("POST", path, **fields)
        assert status == 200, body
        return json.loads(body)["job_id"]

    def status(self, job_id):
        """None while the server can't tell, as in the moments after its database has gone."""
        code, body = self._ask("GET", f"/jobs/{job_id}/status")
        return json.loads(body)["status"] if code == 200 else None

    def _ask(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection(self.url.split("/")[2], timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read()


def until(happened, seconds=30):
    deadline = time.monotonic() + seconds
    while not (result := happened()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return result
