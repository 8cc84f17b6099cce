"""A web server on 127.0.0.1 that misbehaves in every way, for tests of code that fetches URLs."""

import gzip
import ssl
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

# Nothing trusts this published key. The certificate is valid for the name localhost, until 2120.
CERTIFICATE = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgVLwCXMmeNjzYzzEC
10ZRWJkc7m9PC4DUU+Wa9fDDO4ehRANCAARY1hhAm+seiwHpxPE/mf+60S3pt6f1
jia3GcnCWj4VOv5i0Numy6eCkZW0nptTeP9nzXpyIA/6eIUcptL9ms9s
-----END PRIVATE KEY-----
-----BEGIN CERTIFICATE-----
MIIBYTCCAQegAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABFjWGECb6x6LAenE
8T+Z/7rRLem3p/WOJrcZycJaPhU6/mLQ26bLp4KRlbSem1N4/2fNenIgD/p4hRym
0v2az2yjSDBGMBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAPBgNVHRMBAf8EBTADAQH/
MB0GA1UdDgQWBBRnsLq2qpqYqnU3cjIBuf/ws6aRiDAKBggqhkjOPQQDAgNIADBF
AiEA5mdsdVNp96zpoagLI/QLSx2j7EKHY92//xq5UWxH4ggCIDg2d5SWP50NXkyT
1aKw/ugkx4FBggBu8UBn2yBxUjJd
-----END CERTIFICATE-----
"""


class Handler(BaseHTTPRequestHandler):
    """Sends server.image for /image; each other path has a method below. Appends (path, headers) to server.requests."""

    def do_GET(self):
        path = unquote(urlsplit(self.path).path).strip("/")
        self.server.requests.append((self.path, dict(self.headers)))
        try:
            getattr(self, f"send_{path}", self.send_nothing)()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def send_nothing(self):
        self.send_error(404)

    def send_image(self, body=None, **headers):
        body = self.server.image if body is None else body
        self.send_response(200)
        for name, value in ({"Content_Length": len(body)} | headers).items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def send_redirect(self):
        self.send_response(302)
        self.send_header("Location", parse_qs(urlsplit(self.path).query)["to"][0])
        self.end_headers()

    def send_again(self):
        """Redirect to /again `left` times, then to /image."""
        left = int(parse_qs(urlsplit(self.path).query)["left"][0])
        self.send_response(301)
        self.send_header("Location", f"/again?left={left - 1}" if left else "/image")
        self.end_headers()

    def send_compressed(self):
        self.send_image(gzip.compress(bytes(1 << 20)), Content_Encoding="gzip")

    def send_announced(self):
        self.send_image(b"only this", Content_Length=10**15)

    def send_truncated(self):
        self.send_image(self.server.image[:50], Content_Length=len(self.server.image))

    def send_endless(self):
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(bytes(1 << 16))

    def send_chunked(self):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while True:
            self.wfile.write(b"10000\r\n" + bytes(1 << 16) + b"\r\n")

    def send_trickle(self):
        self.send_response(200)
        self.end_headers()
        while True:
            self.wfile.write(b"x")
            time.sleep(0.02)

    def send_header_trickle(self):
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
        while True:
            self.wfile.write(b"x")
            time.sleep(0.02)

    def send_headers(self):
        self.wfile.write(b"HTTP/1.0 200 OK\r\n" + b"X: y\r\n" * 100_000)

    def send_garbage(self):
        self.wfile.write(b"\0\xff no HTTP at all\r\n\r\n")

    def send_silence(self):
        time.sleep(2)

    def log_message(self, *arguments):
        pass


@contextmanager
def web_server(image=b"", certificate=None):
    """A listening server with its address as `url`; with a file of key and certificate it speaks TLS, as localhost."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.image, server.requests, server.daemon_threads = image, [], True
        server.url = f"http://127.0.0.1:{server.server_port}"
        server.handle_error = lambda request, address: None  # clients that disconnect during the TLS handshake
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            server.url = f"https://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
