"""The clients of the serving benchmark."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from benchmarks.load_client import Clients, form, free_port


class Handler(BaseHTTPRequestHandler):
    """Responds with 200 to a form that holds "a photo", else with 400."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if b"a photo" in body else 400)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


@pytest.fixture
def url():
    server = ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
def test_clients_report_the_rate_and_the_latency_of_each_round(url):
    clients = Clients(url, [form("/", "127.0.0.1", {"job_id": "1"}, b"a photo")], 3)
    assert clients.images_per_second(0.1) > 0
    clients.images_per_second(0.1)
    assert len(clients.loads) == 2
    assert clients.loads[0].p95 >= clients.loads[0].median > 0


@pytest.mark.slow
def test_clients_raise_when_a_response_is_not_200(url):
    clients = Clients(url, [form("/", "127.0.0.1", {}, b"something else")], 1)
    with pytest.raises(RuntimeError, match="400"):
        clients.images_per_second(0.1)
