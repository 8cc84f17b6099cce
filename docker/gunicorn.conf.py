"""The web server: one process, many threads.

It has to be one process: sessions of snapshots are loaded once, requests for one snapshot are batched, and the state in
memory (wrong passwords, rates, cached responses to polls, latencies of /metrics) exists once. Threads suffice: ONNX
Runtime, Pillow and the database driver release Python's lock.
"""

import os

bind = os.environ.get("GUNICORN_BIND", "0.0.0.0:8000")  # nosec B104 (in a container; compose.yaml limits who can reach it)
workers = 1
threads = 16
worker_class = "digits_project.server.gunicorn_worker.WebWorker"
timeout = 60  # seconds without a heartbeat of the process; not a limit of a request
graceful_timeout = 25  # seconds for running requests at a stop; compose.yaml waits longer
keepalive = 5
control_socket_disable = True
worker_tmp_dir = "/dev/shm"  # nosec B108 (gunicorn creates a file there; a disk can be slow)
forwarded_allow_ips = ""  # settings.py decides which headers of a proxy are trusted (DIGITS_HTTPS)
