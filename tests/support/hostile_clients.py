"""Clients that try to overload a server, as a process: `python -m tests.support.hostile_clients CROWD.json`."""

import contextlib
import http.client
import itertools
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.support.server import ROOT, wait_until

PAUSE = 0.05  # seconds between two pieces of data that is sent slowly
NUMBERED = b"{number}"  # replaced in a head by the number of the request


@contextlib.contextmanager
def crowd(folder, port, number, head=b"", body=b"", slowly=b"", piece=1600):
    """Run `number` clients during the block. Each repeats: connect, send head and body, send `slowly` in pieces, read.

    Without a head the clients connect once and send nothing.
    """
    sent = {"head": head, "body": body, "slowly": slowly}
    texts = {name: data.decode("latin-1") for name, data in sent.items()}
    path = folder / "crowd.json"
    path.write_text(json.dumps(texts | {"port": port, "number": number, "piece": piece}))
    command = [sys.executable, "-m", "tests.support.hostile_clients", str(path)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "connected\n"
        yield
    finally:
        process.kill()
        process.wait(30)
        process.stdout.close()


def post_head(path, *headers, length):
    """The head of a POST with a body of `length` bytes."""
    return "\r\n".join(
        (f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Length: {length}", *headers, "", "")
    ).encode()


def timed_request(port, method, path, body=None, headers=()):
    """(status, duration in seconds) of a request."""
    started = time.monotonic()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        response.read()
        return response.status, time.monotonic() - started


class Crowd:
    def __init__(self, port, number, piece, head, body, slowly):
        self._port, self._number, self._piece = port, number, piece
        self._head, self._body, self._slowly = (text.encode("latin-1") for text in (head, body, slowly))
        self._requests = itertools.count(1)

    def run(self):
        """Run all clients until the process is killed."""
        if self._head:
            threads = [threading.Thread(target=self._repeat) for _ in range(self._number)]
            for thread in threads:
                thread.start()
            wait_until(lambda: next(self._requests) > self._number)
        else:
            self._silent = [self._connect() for _ in range(self._number)]
        print("connected", flush=True)
        threading.Event().wait()

    def _connect(self):
        return socket.create_connection(("127.0.0.1", self._port), timeout=60)

    def _repeat(self):
        while True:
            with contextlib.suppress(OSError), contextlib.closing(self._connect()) as connection:
                self._request(connection)

    def _request(self, connection):
        connection.sendall(self._head.replace(NUMBERED, b"%d" % next(self._requests)))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(self._body)
            for at in range(0, len(self._slowly), self._piece):
                time.sleep(PAUSE)
                connection.sendall(self._slowly[at : at + self._piece])
        while connection.recv(1 << 16):
            """Read the whole response."""


if __name__ == "__main__":
    Crowd(**json.loads(Path(sys.argv[1]).read_text())).run()
