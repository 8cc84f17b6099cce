"""HEALTHCHECK of the containers: exit 0 when this one works. `python3 docker/healthy.py web|worker|reaper`

Light, since it runs every few seconds: no Django. A worker tells Redis every few seconds that it lives, under the name
of its host; the entry is gone ten seconds after the last one. So does a reaper each time that it has looked after the
jobs, for thirty seconds (digits_project/jobs/scheduling/queues.py).
"""

import os
import socket
import sys
import urllib.request
from pathlib import Path

PREFIX = os.environ.get("RQ_KEY_PREFIX", "rq")
PORT = os.environ.get("GUNICORN_BIND", ":8000").rpartition(":")[2]  # as gunicorn.conf.py has it


def web() -> bool:
    with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=5) as answer:  # nosec B310 (always http)
        return answer.status == 200


def worker() -> bool:
    with redis_client() as client:
        keys = client.smembers(f"{PREFIX}:workers")
        return any(client.hget(key, "hostname") == socket.gethostname() for key in keys)


def reaper() -> bool:
    with redis_client() as client:
        return bool(client.exists(f"{PREFIX}:reaper:{socket.gethostname()}"))


def redis_client():
    import redis  # the web's check has no need of it

    file = os.environ.get("REDIS_URL_FILE")
    url = Path(file).read_text().strip() if file else os.environ["REDIS_URL"]
    return redis.Redis.from_url(url, socket_timeout=5, decode_responses=True)


if __name__ == "__main__":
    sys.exit(0 if {"web": web, "worker": worker, "reaper": reaper}[sys.argv[1]]() else 1)
