"""Clients that send requests over kept-alive connections, each the next one when it has the response to the last.

All of them run in a process of their own, on raw sockets, so that they take little of the cores that the server needs.
"""

from __future__ import annotations

import multiprocessing
import selectors
import socket
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle
from urllib.parse import urlsplit

BOUNDARY = "digits-benchmark-boundary"


@dataclass(frozen=True)
class Load:
    """Responses a second, the seconds that half and 95 % of them took at most, the processor seconds that the clients
    took for a response, the beginning of the first response that was not 200, and the number of all responses, those
    after the measured time included."""

    rate: float
    median: float
    p95: float
    client_cpu: float
    wrong: bytes = b""
    responses: int = 0


@dataclass
class Clients:
    """Clients that send these requests to a server; like a Loop they run for a while and return their speed."""

    url: str
    requests: Sequence[bytes]
    number: int
    loads: list[Load] = field(default_factory=list)  # of all rounds

    def images_per_second(self, seconds: float) -> float:
        """Send requests for so long. Returns the responses a second; raises RuntimeError if one was not 200."""
        self.loads.append(load(self.url, self.requests, self.number, seconds))
        if self.loads[-1].wrong:
            raise RuntimeError(self.loads[-1].wrong.decode(errors="replace"))
        return self.loads[-1].rate


def free_port() -> int:
    """A port of 127.0.0.1 on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def form(
    path: str, host: str, fields: dict[str, str], content: bytes, headers: Sequence[str] = (), name: str = "image_file"
) -> bytes:
    """The bytes of a POST of a multipart form with a file, by default its `image_file`."""
    parts = [f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{n}"\r\n\r\n{v}\r\n' for n, v in fields.items()]
    parts.append(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="file"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = "".join(parts).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
    head = [
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Accept: application/json",
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}",
        f"Content-Length: {len(body)}",
        *headers,
    ]
    return "\r\n".join([*head, "", ""]).encode() + body


def load(url: str, requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    """Send these requests in turn from so many clients for so long."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_run, url, requests, clients, seconds).result()


class _Client:
    """One connection, with the request that it waits for."""

    def __init__(self, address: tuple[str, int]):
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def send(self, request: bytes) -> None:
        self.began = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> bytes | None:
        """The response's bytes when they are complete, else None."""
        self.received += self.socket.recv(1 << 16)
        head, separator, body = self.received.partition(b"\r\n\r\n")
        if not separator:
            if not self.received:
                raise ConnectionResetError("the server closed the connection")
            return None
        lower = head.lower()
        at = lower.index(b"content-length:") + 15
        if len(body) < int(lower[at:].partition(b"\r")[0]):
            return None
        response, self.received = self.received, b""
        return response


def _run(url: str, requests: Sequence[bytes], clients: int, seconds: float) -> Load:
    address = urlsplit(url).hostname or "", urlsplit(url).port or 80
    ahead = cycle(requests)
    selector = selectors.DefaultSelector()
    took: list[float] = []
    wrong = b""
    cpu, began = time.process_time(), time.perf_counter()
    for _ in range(clients):
        client = _Client(address)
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.send(next(ahead))
    while (now := time.perf_counter()) - began < seconds or len(took) < 2:
        for client, response in _responses(selector):
            took.append(time.perf_counter() - client.began)
            if not response.startswith(b"HTTP/1.1 200 "):
                wrong = wrong or response[:1000]
            client.send(next(ahead))
    cpu = time.process_time() - cpu
    responses = len(took) + len(selector.get_map())
    while selector.get_map():  # so that the server does nothing more for these clients when others are measured
        for client, _ in _responses(selector):
            selector.unregister(client.socket)
            client.socket.close()
    p95 = statistics.quantiles(took, n=20)[-1]
    return Load(len(took) / (now - began), statistics.median(took), p95, cpu / len(took), wrong, responses)


def _responses(selector: selectors.BaseSelector) -> Iterator[tuple[_Client, bytes]]:
    """The responses that are complete now, and the clients that received them."""
    for key, _ in selector.select(1):
        response = key.data.receive()
        if response is not None:
            yield key.data, response
