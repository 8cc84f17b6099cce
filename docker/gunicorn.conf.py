"""The web server: one process, many threads.

One process on purpose: sessions of snapshots stay warm once, requests for one snapshot are batched, and what is counted
in memory (wrong passwords, rates, answers to polls, latencies of /metrics) is counted once. Threads suffice: ONNX
Runtime, Pillow and the database driver work outside of Python's lock.
"""

import os

bind = os.environ.get("GUNICORN_BIND", "0.0.0.0:8000")  # nosec B104 (a container's; compose.yaml says who reaches it)
workers = 1
threads = 16
worker_class = "digits_project.server.gunicorn_worker.WebWorker"
timeout = 60  # seconds without a sign of life of the process, not of a request
graceful_timeout = 25  # for the requests under way when it stops; compose.yaml waits longer than this
keepalive = 5
control_socket_disable = True
worker_tmp_dir = "/dev/shm"  # nosec B108 (gunicorn makes a file of its own there; disks may be slow)
forwarded_allow_ips = ""  # which headers of a proxy count, settings.py says (DIGITS_HTTPS)
