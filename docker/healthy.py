"""HEALTHCHECK of the containers: exit 0 when this one works. `python3 docker/healthy.py web|worker`

Light, since it runs every few seconds: no Django. A worker tells Redis every few seconds that it lives, under the name
of its host; the entry is gone ten seconds after the last one.
"""

import os
import socket
import sys
import urllib.request
from pathlib import Path


def web() -> bool:
    with urllib.request.urlopen("http://127.0.0.1:8000/healthz", timeout=5) as answer:  # nosec B310 (a fixed address)
        return answer.status == 200


def worker() -> bool:
    import redis  # the web's check has no need of it

    file = os.environ.get("REDIS_URL_FILE")
    url = Path(file).read_text().strip() if file else os.environ["REDIS_URL"]
    prefix = os.environ.get("RQ_KEY_PREFIX", "rq")
    with redis.Redis.from_url(url, socket_timeout=5, decode_responses=True) as client:
        return any(client.hget(key, "hostname") == socket.gethostname() for key in client.smembers(f"{prefix}:workers"))


if __name__ == "__main__":
    sys.exit(0 if {"web": web, "worker": worker}[sys.argv[1]]() else 1)
