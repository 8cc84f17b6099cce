"""classify_one of a whole server against a LitServe server that runs the same model.onnx, by the same clients.

LitServe runs in an environment of its own (BENCH_ANCHORS_PYTHON), on 127.0.0.1, with the fastest of SETTINGS.
"""

from __future__ import annotations

import http.client
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psutil

from benchmarks.load_client import Clients, form, free_port, load
from benchmarks.loops.rounds import ANCHORS_PYTHON, ROOT, alternate
from benchmarks.report import NO_ANCHORS, LeftOut, Row, against, sooner
from digits_project.common.resources import usable_cores
from tests.support.server import wait_until

CORES = usable_cores()
# Workers, threads of each, largest batch, what carries the requests to the workers.
SETTINGS = ((CORES, 1, 8, "zmq"), (CORES, 1, 16, "zmq"), (CORES, 1, 8, "pipes"), (1, CORES, 16, "zmq"))
START_WITHIN, STOP_WITHIN = 60, 10
TRIAL_SECONDS = 3.0


def rows(
    title: str, ours: Clients, model: Sequence[str], photos: Path, rounds: int, seconds: float
) -> Iterator[Row | LeftOut]:
    """The images per second and the latency of `ours`, clients of this server; model: model.onnx, channels, size."""
    if not ANCHORS_PYTHON:
        yield from (LeftOut(f"{name}, against LitServe", NO_ANCHORS) for name in (title, f"{title}, p95"))
        return

    def speed(setting: tuple[int, int, int, str]) -> float:
        with _litserve(model, setting) as url:
            return _clients(url, photos, ours.number).images_per_second(TRIAL_SECONDS)

    with _litserve(model, max(SETTINGS, key=speed)) as url:
        theirs = _clients(url, photos, ours.number)
        ours.loads.clear()
        pairs = alternate(ours, theirs, rounds, seconds)
    latencies = [(1000 * our.p95, 1000 * their.p95) for our, their in zip(ours.loads, theirs.loads, strict=True)]
    yield against(title, "images/s", "LitServe", pairs, 1.1)
    yield sooner(f"{title}, p95", "ms", "LitServe", latencies, 1.0)


def _clients(url: str, photos: Path, number: int) -> Clients:
    """Clients of a server that all its workers have already answered."""
    requests = [form("/predict", url.split("/")[2], {}, path.read_bytes()) for path in sorted(photos.iterdir())]
    load(url, requests, number, 1.0)
    return Clients(url, requests, number)


@contextmanager
def _litserve(model: Sequence[str], setting: tuple[int, int, int, str]) -> Iterator[str]:
    """The URL of a LitServe server that runs."""
    port = free_port()
    module = "benchmarks.loops.litserve_server"  # it can't be imported here
    command = [ANCHORS_PYTHON, "-m", module, *model, str(port), *map(str, setting)]
    process = psutil.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: process.poll() is not None or _is_ready(port), START_WITHIN)
        if process.poll() is not None:
            raise RuntimeError(f"LitServe ended with {process.returncode}")
        yield f"http://127.0.0.1:{port}"
    finally:
        _stop(process)


def _is_ready(port: int) -> bool:
    """Whether all workers have loaded the model."""
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=START_WITHIN)) as connection:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
    except OSError:  # it does not listen yet
        return False


def _stop(process: psutil.Popen) -> None:
    """Interrupt LitServe, which stops its workers then, and kill what is left."""
    with suppress(psutil.NoSuchProcess):
        processes = [process, *process.children(recursive=True)]
        process.send_signal(signal.SIGINT)
        for left in psutil.wait_procs(processes, STOP_WITHIN)[1]:
            left.kill()
        process.wait()
