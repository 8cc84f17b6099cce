"""HEALTHCHECK of the containers: `python3 docker/healthy.py web|worker|reaper` exits with 0 if the process works.

It runs every few seconds, so it does not load Django. A worker writes a heartbeat to Redis every few seconds, under the
name of its host; the entry expires after ten seconds. A reaper writes one after each round, which expires after thirty
(digits_project/jobs/scheduling/queues.py).
"""

import os
import socket
import sys
import urllib.request
from pathlib import Path

PREFIX = os.environ.get("RQ_KEY_PREFIX", "rq")
PORT = os.environ.get("GUNICORN_BIND", ":8000").rpartition(":")[2]  # the default of gunicorn.conf.py


def web() -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=5) as response:  # nosec B310 (always http)
        return response.status == 200


def worker() -> bool:
    with redis_client() as client:
        keys = client.smembers(f"{PREFIX}:workers")
        return any(client.hget(key, "hostname") == socket.gethostname() for key in keys)


def reaper() -> bool:
    with redis_client() as client:
        return bool(client.exists(f"{PREFIX}:reaper:{socket.gethostname()}"))


def redis_client():
    import redis  # not at the top: the check of the web server needs no Redis

    file = os.environ.get("REDIS_URL_FILE")
    url = Path(file).read_text().strip() if file else os.environ["REDIS_URL"]
    return redis.Redis.from_url(url, socket_timeout=5, decode_responses=True)


if __name__ == "__main__":
    sys.exit(0 if {"web": web, "worker": worker, "reaper": reaper}[sys.argv[1]]() else 1)
