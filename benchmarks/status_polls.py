"""The cost of twenty thousand status polls a minute, or of 200 event streams: the speed of a training with and without
them, alternating.

`python -m benchmarks.status_polls` starts a whole server in a temporary home, trains LeNet on it, and polls the status
of the training over kept-alive connections at a steady rate. With `--watchers 200` so many clients, in one process of
the same machine, follow its events instead, about ten a second. Speeds vary on a machine with other work, so it also
prints figures that do not: the processor time of the web server and the clients, and the images that the training
processes per second of its processor time.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import selectors
import socket
import statistics
import sys
import time
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg2

from benchmarks.server_processes import processes_with, processor_seconds, web_processes
from digits_project.common.resources import usable_cores
from digits_project.stack.embedded import running_urls
from tests.support.samples.imagedb_samples import write_28_pixel_digits
from tests.support.server import RunningServer, wait_until
from tests.support.services import temporary_home

CLIENTS = 4  # kept-alive connections
BATCH = 64  # images; LeNet's batch size


class Half(NamedTuple):
    """Half a round: the training's images per second and per second of processor time, and the web server's cores."""

    speed: float
    per_cpu_second: float
    web_cores: float


def main() -> int:
    options = _parse()
    with temporary_home() as home, RunningServer(home, 0) as server:
        job = _train(server)
        alone, polled = [], []
        for number in range(1, options.rounds + 1):
            alone.append(_measure(server, job, options.seconds))
            with _clients(server.url, job, options) as line:
                polled.append(_measure(server, job, options.seconds))
            web = f"web server {alone[-1].web_cores:.1%} and {polled[-1].web_cores:.1%} of a core"
            speeds = f"{alone[-1].speed:6.0f} images/s alone, {polled[-1].speed:6.0f} with {line[0]}; {web}"
            print(f"round {number}: {speeds}", flush=True)
    _summarise(alone, polled, "watchers" if options.watchers else "polls")
    return 0


def _summarise(alone: list[Half], polled: list[Half], what: str) -> None:
    """Print the medians of the halves, and what polls, or watchers, cost."""
    without, beside = (Half(*map(statistics.median, zip(*halves, strict=True))) for halves in (alone, polled))
    cores = usable_cores()
    web = beside.web_cores - without.web_cores
    slower, costlier = 1 - beside.speed / without.speed, 1 - beside.per_cpu_second / without.per_cpu_second
    print(f"medians: {without.speed:.0f} images/s alone, {beside.speed:.0f} with {what}: {slower:.1%} less")
    per_second = (
        f"{without.per_cpu_second:.0f} images alone, {beside.per_cpu_second:.0f} with {what}: {costlier:.1%} less"
    )
    print(f"per second of the training's processor time: {per_second}")
    print(f"the {what} cost the web server {web:.1%} of a core, {web / cores:.1%} of the {cores} that there are")


def _train(server: RunningServer) -> str:
    """Start a long training of LeNet; return its id."""
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
    """The number of batches at the training's newest metric. There are eight metrics per epoch."""
    url = running_urls(server.home)["DATABASE_URL"]
    with contextlib.closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT coalesce(max(iteration), 0) FROM models_app_metric WHERE trained_model_id = %s", [job])
        return cursor.fetchone()[0]


def _measure(server: RunningServer, job: str, seconds: float) -> Half:
    """Measure for about `seconds`, from one metric of the training to another."""
    web, trainer = web_processes(server), processes_with(server, "models_app.training")
    first, started = _next_metric(server, job)
    web_before, trainer_before = processor_seconds(web), processor_seconds(trainer)
    time.sleep(seconds)
    last, ended = _next_metric(server, job)
    images, duration = (last - first) * BATCH, ended - started
    web_seconds, trainer_seconds = processor_seconds(web) - web_before, processor_seconds(trainer) - trainer_before
    return Half(images / duration, images / trainer_seconds, web_seconds / duration)


def _next_metric(server: RunningServer, job: str) -> tuple[int, float]:
    """Wait for the next metric; return its iteration and the time."""
    before = _iteration(server, job)
    while (now := _iteration(server, job)) == before:
        time.sleep(0.01)
    return now, time.monotonic()


@contextlib.contextmanager
def _clients(url: str, job: str, options: argparse.Namespace) -> Iterator[list[str]]:
    """Poll, or watch, in another process while the block runs. Afterwards the yielded list has a line of results."""
    begun, stop = multiprocessing.Event(), multiprocessing.Event()
    results, line = multiprocessing.SimpleQueue(), []
    work = (_watch, f"/events?job={job}", options.watchers) if options.watchers else None
    function, path, number = work or (_poll, f"/models/{job}/status", options.polls)
    process = multiprocessing.Process(target=function, args=(url, path, number, begun, stop, results))
    process.start()
    begun.wait()
    yield line
    stop.set()
    line.append(results.get())
    process.join()


def _poll(url: str, path: str, a_minute: int, begun, stop, results) -> None:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAccept: application/json\r\n\r\n".encode()
    sockets = [socket.create_connection((host, port)) for _ in range(CLIENTS)]
    begun.set()
    started, cpu, polls, wrong = time.monotonic(), time.process_time(), 0, 0
    while not stop.is_set():
        for client in sockets:
            client.sendall(request)
        wrong += sum(not _is_expected(client) for client in sockets)
        polls += CLIENTS
        time.sleep(max(0.0, started + polls * 60 / a_minute - time.monotonic()))
    seconds = time.monotonic() - started
    share = (time.process_time() - cpu) / seconds
    results.put(f"{polls * 60 / seconds:.0f} polls a minute, {wrong} wrong; the poller took {share:.1%} of a core")


def _watch(url: str, path: str, watchers: int, begun, stop, results) -> None:
    host, port = urlsplit(url).hostname, urlsplit(url).port
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    selector, events, refused, ended = selectors.DefaultSelector(), 0, 0, 0
    for _ in range(watchers):
        client = socket.create_connection((host, port))
        client.sendall(request)
        refused += not client.recv(65536).startswith(b"HTTP/1.1 200")
        selector.register(client, selectors.EVENT_READ)
    begun.set()
    started, cpu = time.monotonic(), time.process_time()
    while not stop.is_set():
        for key, _ in selector.select(0.1):
            data = key.fileobj.recv(65536)
            events += data.count(b"event: ")
            if not data:
                ended += 1
                selector.unregister(key.fileobj)
    seconds = time.monotonic() - started
    share = (time.process_time() - cpu) / seconds
    found = f"{events / watchers / seconds:.1f} events a second each, {refused} refused, {ended} ended"
    results.put(f"{watchers} watchers: {found}; they took {share:.1%} of a core")


def _is_expected(client: socket.socket) -> bool:
    """Read a response; return whether it is a 200 with the status Running."""
    response = client.recv(65536)
    head, _, body = response.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += client.recv(65536)
    return head.startswith(b"HTTP/1.1 200") and b'"Running"' in body


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.status_polls", description=__doc__)
    parser.add_argument("--polls", type=int, default=20_000, help="a minute")
    parser.add_argument("--watchers", type=int, default=0, help="so many clients follow the events, and none polls")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=8.0, help="of each half of a round")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
