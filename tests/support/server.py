"""A whole server as a process: `python -m digits_project.stack` on a home."""

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


class RunningServer:
    """A server on `home`, from the moment that it reports that it is running to the end of the block."""

    def __init__(self, home, port, **variables):
        self.home = home
        self.output = home / "output.txt"
        env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
        env.pop("ORT_DISABLE_TELEMETRY", None)
        env |= {"DIGITS_HOME": str(home), "DIGITS_PORT": str(port), "DIGITS_JOBS_DIR": str(home / "jobs"), **variables}
        self.command = {"args": [sys.executable, "-m", "digits_project.stack"], "env": env, "cwd": ROOT}

    def __enter__(self):
        with self.output.open("w") as file:
            self.process = subprocess.Popen(**self.command, stdout=file, stderr=file)
        wait_until(lambda: "DIGITS is running" in self.output.read_text() or self.process.poll() is not None, 90)
        assert self.process.poll() is None, self.output.read_text()
        self.url = json.loads((self.home / "stack.json").read_text())["url"]
        self.processes = psutil.Process(self.process.pid).children(recursive=True)
        return self

    def __exit__(self, *exception):
        self.process.terminate()
        self.process.wait(30)

    def start_again(self):
        """The finished process of a second start on the same home."""
        return subprocess.run(**self.command, capture_output=True, text=True)

    def children(self):
        return [process for process, _ in self._children()]

    def child(self, *words):
        """The child process whose command line contains these words, or None."""
        return next((process for process, cmdline in self._children() if set(words) <= set(cmdline)), None)

    def _children(self):
        """(child process, its command line) of each. Tests poll this, and psutil would read every process of the
        machine for it."""
        main_thread = f"/proc/{self.process.pid}/task/{self.process.pid}"
        for pid in Path(f"{main_thread}/children").read_text().split():
            with contextlib.suppress(psutil.NoSuchProcess):
                child = psutil.Process(int(pid))
                yield child, child.cmdline()

    def get(self, path):
        """The status code of a GET."""
        return self.request("GET", path)[0]

    def json(self, path):
        """The parsed body of a GET."""
        return json.loads(self.request("GET", path)[1])

    def send(self, method, path, **fields):
        """(status code, body) of a request that sends these fields as JSON."""
        return self.request(method, path, json.dumps(fields), {"Content-Type": "application/json"})

    def create_job(self, path, **fields):
        """Create a job by a POST; return its id."""
        status, body = self.send("POST", path, **fields)
        assert status == 200, body
        return json.loads(body)["job_id"]

    def job_status(self, job_id):
        """The status of a job, or None while the server can't read it, as just after its database has died."""
        code, body = self.request("GET", f"/jobs/{job_id}/status")
        return json.loads(body)["status"] if code == 200 else None

    def request(self, method, path, body=None, headers=None):
        """(status code, body) of a request."""
        connection = http.client.HTTPConnection(self.url.split("/")[2], timeout=30)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, response.read()


def wait_until(condition, seconds=60):
    """Poll the condition until it is true; return its value."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"the condition was still false after {seconds} seconds"
        time.sleep(0.05)
    return result


def running(processes):
    """Those of these psutil processes that have not ended. A zombie has, though its parent has not asked for it yet."""
    return [process for process in processes if not _has_ended(process)]


def await_exit(processes):
    """Wait until these psutil processes have ended."""
    wait_until(lambda: not running(processes))


def _has_ended(process):
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
