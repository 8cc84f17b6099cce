"""classify_many of a whole server with a long list of photos, against the best bare loop, and the memory it takes."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from benchmarks.load_client import form
from benchmarks.loops.rounds import Loop, alternate
from benchmarks.report import Row, against, at_most
from benchmarks.server_processes import mebibytes, web_processes
from tests.support.server import RunningServer

PATH = "/models/images/classification/classify_many.json"
IMAGES = 2_000
MAX_ROUNDS = 2  # of half a minute or more
LOOP_SECONDS = 12.0
MAX_MEBIBYTES = 400
SAMPLE_SECONDS = 0.1


class ListClient:
    """A client that sends a list of all these images; like a Loop it returns its speed."""

    def __init__(self, url: str, job_id: str, paths: Sequence[Path]) -> None:
        names = "".join(f"{path}\n" for path in paths).encode()
        self._address = urlsplit(url).hostname, urlsplit(url).port
        self._request = form(PATH, urlsplit(url).netloc, {"job_id": job_id}, names, name="image_list")
        self._images = len(paths)

    def images_per_second(self, _: float) -> float:
        began = time.perf_counter()
        with socket.create_connection(self._address) as connection:
            connection.sendall(self._request)
            response = http.client.HTTPResponse(connection)
            response.begin()
            body = response.read()
        seconds = time.perf_counter() - began
        if response.status != 200 or len(json.loads(body)["classifications"]) != self._images:
            raise RuntimeError(f"{PATH} responds {response.status}: {body[:200]!r}")
        return self._images / seconds


def rows(server: RunningServer, job_id: str, photos: Path, loop: Loop, rounds: int) -> Iterator[Row]:
    """The speed of lists of 2,000 photos, and the memory of the largest web process meanwhile."""
    with TemporaryDirectory() as folder, _largest(server) as samples:
        client = ListClient(server.url, job_id, _names(photos, Path(folder)))
        pairs = alternate(client, loop, min(rounds, MAX_ROUNDS), LOOP_SECONDS)
    title = f"classify_many resnet18 224, {IMAGES:,} photos"
    yield against(title, "images/s", "the best bare loop", pairs, 0.95)
    yield at_most(f"{title}, memory of a web process", "MiB", [max(samples)], MAX_MEBIBYTES)


def _names(photos: Path, folder: Path) -> list[Path]:
    """As many files as a list has; photos repeat."""
    paths = [folder / f"{number:04}.jpg" for number in range(IMAGES)]
    for path, photo in zip(paths, cycle(sorted(photos.iterdir()))):
        path.hardlink_to(photo)
    return paths


@contextmanager
def _largest(server: RunningServer) -> Iterator[list[float]]:
    """The memory of the largest web process while the block runs, in MiB (PSS), sampled on a thread."""
    samples: list[float] = []
    ended = threading.Event()

    def sample() -> None:
        processes = web_processes(server)
        while not ended.wait(SAMPLE_SECONDS):
            samples.append(max(map(mebibytes, processes)))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        ended.set()
        thread.join()
