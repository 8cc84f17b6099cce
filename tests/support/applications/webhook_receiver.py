"""A web server on this host that receives webhooks, and keeps what it received."""

import contextlib
import http.server
import threading
from typing import NamedTuple


class Received(NamedTuple):
    """A request: its headers, with names in lower case, and its body."""

    headers: dict[str, str]
    body: bytes


@contextlib.contextmanager
def receiver(status=204, **headers):
    """A server that answers with this status and these headers. `received` are the requests, `status` can be set; while
    `hold` is not set, no response is sent."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.received.append(Received({name.lower(): value for name, value in self.headers.items()}, body))
            server.hold.wait(30)
            self.send_response(server.status)
            for name, value in headers.items():
                self.send_header(name, value)
            with contextlib.suppress(OSError):  # the sender was killed
                self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.received, server.status, server.hold = [], status, threading.Event()
    server.hold.set()
    server.url = f"http://127.0.0.1:{server.server_port}/hook"
    thread = threading.Thread(target=server.serve_forever, args=[0.05])
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
