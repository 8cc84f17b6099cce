"""What twenty thousand status polls a minute cost a training: its speed with and without them, in turns, in one run.

`python -m benchmarks.status_polls` starts a whole server in a temporary home, trains LeNet on it, and asks for the
training's status over kept-alive connections at a steady rate. On a machine that does other things too, speeds jump; so
it also tells what does not: the processor time that the web server and the poller take of the cores that the training
could have had, and how many images the training does for a second of processor time.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil
import psycopg2

from digits_project.common.resources import usable_cores
from digits_project.stack.embedded import running_urls
from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.server import RunningServer, wait_until
from tests.support.services import temporary_home

CLIENTS = 4  # connections, which the server keeps open
BATCH = 64  # LeNet's


class Half(NamedTuple):
    """Half a round: the training's images a second, and per second of its processor time; the web server's cores."""

    speed: float
    thrift: float
    web: float


def main() -> int:
    options = _parse()
    with temporary_home() as home, RunningServer(home, 0) as server:
        job = _train(server)
        alone, polled = [], []
        for number in range(1, options.rounds + 1):
            alone.append(_half(server, job, options.seconds))
            with _polling(server.url, f"/models/{job}/status", options.polls) as line:
                polled.append(_half(server, job, options.seconds))
            print(
                f"round {number}: {alone[-1].speed:6.0f} images/s alone, {polled[-1].speed:6.0f} with {line[0]}",
                flush=True,
            )
    _summarise(alone, polled)
    return 0


def _summarise(alone: list[Half], polled: list[Half]) -> None:
    without, beside = (Half(*map(statistics.median, zip(*halves, strict=True))) for halves in (alone, polled))
    cores = usable_cores()
    web = beside.web - without.web
    slower, costlier = 1 - beside.speed / without.speed, 1 - beside.thrift / without.thrift
    print(f"medians: {without.speed:.0f} images/s alone, {beside.speed:.0f} with polls: {slower:.1%} less")
    print(
        f"a second of the training's processor time: {without.thrift:.0f} and {beside.thrift:.0f}: {costlier:.1%} less"
    )
    print(f"the polls cost the web server {web:.1%} of a core, {web / cores:.1%} of the {cores} that there are")


def _train(server: RunningServer) -> str:
    """The id of a LeNet that trains for long."""
    size = {"resize_width": 28, "resize_height": 28, "resize_channels": 1}
    images = write_28_pixel_digits(server.home / "images", each=170)
    dataset = server.create_job(
        "/datasets/images/classification.json", dataset_name="digits", folder_train=str(images), **size
    )
    wait_until(lambda: server.job_status(dataset) == "Done", 120)
    fields = {"model_name": "lenet", "dataset": dataset, "standard_networks": "lenet", "random_seed": 1}
    rare = {"train_epochs": 100_000, "snapshot_interval": 0, "val_interval": 0}
    job = server.create_job("/models/images/classification.json", **fields, **rare)
    wait_until(lambda: _iteration(server, job) > 100, 120)
    return job


def _iteration(server: RunningServer, job: str) -> int:
    """How many batches the training had done at its newest measurement, of which there are eight an epoch."""
    url = running_urls(server.home)["DATABASE_URL"]
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(iteration), 0) FROM models_app_metric WHERE trained_model_id = %s", [job])
        return cursor.fetchone()[0]


def _half(server: RunningServer, job: str, seconds: float) -> Half:
    """About so long, from one measurement of the training's to another."""
    web = _processes(server, "gunicorn")
    trainer = _processes(server, "models_app.training")
    first, begun = _newest(server, job)
    web_before, trainer_before = _cpu(web), _cpu(trainer)
    time.sleep(seconds)
    last, ended = _newest(server, job)
    images, passed = (last - first) * BATCH, ended - begun
    return Half(images / passed, images / (_cpu(trainer) - trainer_before), (_cpu(web) - web_before) / passed)


def _processes(server: RunningServer, word: str) -> list[psutil.Process]:
    found = []
    for process in psutil.Process(server.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # those of the database come and go
            if word in process.cmdline():
                found.append(process)
    return found


def _cpu(processes: list[psutil.Process]) -> float:
    """Seconds of processor time."""
    return sum(process.cpu_times().user + process.cpu_times().system for process in processes)


def _newest(server: RunningServer, job: str) -> tuple[int, float]:
    """The next measurement to come, and when it came."""
    before = _iteration(server, job)
    while (now := _iteration(server, job)) == before:
        time.sleep(0.01)
    return now, time.monotonic()


@contextlib.contextmanager
def _polling(url: str, path: str, a_minute: int) -> Iterator[list[str]]:
    """Poll in a process of its own while the block runs; then the list has a line about it."""
    stop, told, line = multiprocessing.Event(), multiprocessing.SimpleQueue(), []
    process = multiprocessing.Process(target=_poll, args=(url, path, a_minute, stop, told))
    process.start()
    yield line
    stop.set()
    line.append(told.get())
    process.join()


def _poll(url: str, path: str, a_minute: int, stop, told) -> None:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: application/json\r\n\r\n".encode()
    sockets = [socket.create_connection((host, port)) for _ in range(CLIENTS)]
    began, cpu, polls, wrong = time.monotonic(), time.process_time(), 0, 0
    while not stop.is_set():
        for client in sockets:
            client.sendall(request)
        wrong += sum(not _is_well(client) for client in sockets)
        polls += CLIENTS
        time.sleep(max(0.0, began + polls * 60 / a_minute - time.monotonic()))
    seconds = time.monotonic() - began
    share = (time.process_time() - cpu) / seconds
    told.put(f"{polls * 60 / seconds:.0f} polls a minute, {wrong} wrong; the poller took {share:.1%} of a core")


def _is_well(client: socket.socket) -> bool:
    """Read one answer; whether it is a 200 with a status in it."""
    answer = client.recv(65536)
    head, _, body = answer.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65536)
    return head.startswith(b"HTTP/1.1 200") and b'"Running"' in body


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.status_polls", description=__doc__)
    parser.add_argument("--polls", type=int, default=20_000, help="a minute")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each half of a round")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
