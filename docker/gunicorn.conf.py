"""The web server: several processes with threads, which share their limits (decision 92)."""

import os

from digits_project import preloaded
from digits_project.stack.web_server import processes_from_environment
from digits_project.stack.web_server import threads as threads_of_each

preloaded.load()  # the processes share its memory
bind = os.environ.get("GUNICORN_BIND", "0.0.0.0:8000")  # nosec B104 (in a container; compose.yaml limits who can reach it)
workers = processes_from_environment()
threads = threads_of_each(16, workers)
worker_class = "digits_project.server.gunicorn_worker.WebWorker"
timeout = 60  # seconds without a heartbeat of the process; not a limit of a request
graceful_timeout = 25  # seconds for running requests at a stop; compose.yaml waits longer
keepalive = 5
control_socket_disable = True
worker_tmp_dir = "/dev/shm"  # nosec B108 (gunicorn creates a file there; a disk can be slow)
forwarded_allow_ips = ""  # settings.py decides which headers of a proxy are trusted (DIGITS_HTTPS)
