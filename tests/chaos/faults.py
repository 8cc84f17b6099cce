"""The faults. Each takes the Chaos and a random.Random, and returns a short description of its effect.

It returns None where there was nothing to hit.
"""

import contextlib
import os
import random
import signal
import time

import psutil
from redis import Redis

from tests.chaos.target import wait_for
from tests.chaos.work import UNFINISHED

KILLED = (
    *("trainer", "rank", "horse-io", "horse-train", "worker-io", "worker-train"),
    *("web", "web-process", "reaper", "redis", "postgres"),
)
MAX_PAUSE_SECONDS = 8.0
FULL_SECONDS = 4.0


def kill(role: str):
    def kill_one(chaos, rng: random.Random) -> str | None:
        target = _target(chaos, role)
        return target and _signal(target, signal.SIGKILL, f"kill -9 of the {role}")

    return kill_one


def pause(role: str):
    def pause_one(chaos, rng: random.Random) -> str | None:
        seconds, target = rng.uniform(0.5, MAX_PAUSE_SECONDS), _target(chaos, role)
        if target is None:
            return None
        processes = [target, *target.children(recursive=True)] if role == "postgres" else [target]
        for process in processes:
            _signal(process, signal.SIGSTOP, "")
        time.sleep(seconds)
        for process in processes:
            _signal(process, signal.SIGCONT, "")
        return f"SIGSTOP of the {role} for {seconds:.1f} s"

    return pause_one


def kill_supervisor(chaos, rng: random.Random) -> str:
    chaos.server.kill(everything=False)
    return chaos.start_again("kill -9 of the supervisor")


def kill_everything(chaos, rng: random.Random) -> str:
    chaos.server.kill(everything=True)
    return chaos.start_again("kill -9 of everything at once")


def restart(chaos, rng: random.Random) -> str:
    chaos.server.stop()
    return chaos.start_again("orderly stop")


def flush(chaos, rng: random.Random) -> str:
    with Redis.from_url(chaos.server.redis_url()) as redis:
        redis.flushall()
    return "Redis emptied"


def spoil_image(chaos, rng: random.Random) -> str | None:
    """Images of a dataset under construction vanish, are truncated or change."""
    folders = sorted((chaos.server.home / "private").iterdir(), key=lambda path: int(path.name))[-2:]
    images = sorted(rng.choice(folders).rglob("*.png"))
    if not images:
        return None
    how = rng.choice(["vanish", "are truncated", "change"])
    for image in rng.sample(images, 20):
        if how == "vanish":
            image.unlink()
        elif how == "are truncated":
            os.truncate(image, image.stat().st_size // 2)
        else:
            image.write_bytes(rng.choice(images).read_bytes() if rng.random() < 0.5 else rng.randbytes(500))
    return f"20 images of a dataset {how}"


def request(action: str):
    """Abort, delete or resume a job."""
    statuses = {"resume": ("Aborted", "Error")}.get(action, UNFINISHED)

    def request_one(chaos, rng: random.Random) -> str | None:
        rows = [row for row in chaos.work.rows() if row[2] in statuses]
        if not rows:
            return None
        kind, job_id, *_ = rng.choice(rows)
        method, path = ("DELETE", f"/{kind}/{job_id}") if action == "delete" else ("POST", f"/{kind}/{job_id}/{action}")
        status, body = chaos.server.run.send(method, path)
        if status == 500:
            chaos.work.broken.append(f"{action} of {job_id} responds with 500: {body[:300]!r}")
        return f"{action} of one of the {kind} ({status})"

    return request_one


def fill_disk(chaos, rng: random.Random) -> str | None:
    """The disk of the jobs folder is full for some seconds."""
    if not chaos.small_disk:
        return None
    filler = chaos.server.jobs / ".filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(1 << 20)):
            pass
    time.sleep(FULL_SECONDS)
    filler.unlink()
    return f"disk full for {FULL_SECONDS:g} s"


ALL = {f"kill {role}": kill(role) for role in KILLED}
ALL |= {f"pause {role}": pause(role) for role in KILLED}
ALL |= {"kill supervisor": kill_supervisor, "kill everything": kill_everything, "restart": restart, "flush": flush}
ALL |= {"spoil images": spoil_image, "fill disk": fill_disk}
ALL |= {action: request(action) for action in ("abort", "delete", "resume")}


def _target(chaos, role: str) -> psutil.Process | None:
    """The newest process of this role, or None if none appears within three seconds."""
    found = wait_for(lambda: chaos.server.find(role), 3)
    return found[-1] if found else None


def _signal(process: psutil.Process, number: signal.Signals, description: str) -> str | None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        return None
    return description
