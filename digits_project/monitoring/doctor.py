"""Checks what a server needs, one by one, and says how to fix each problem. Works even if nothing else does."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from redis.exceptions import RedisError

from digits_project.accounts.checks import unsafe_combinations
from digits_project.common import processes
from digits_project.common.resources import gibibytes, limit, usable_cores
from digits_project.jobs.scheduling import queues
from digits_project.monitoring.engine_checks import OK, WARNING, WRONG, Finding, engines, gpus, last_line, waiting_jobs
from digits_project.monitoring.support_dates import has_ended, supported_until
from digits_project.stack import web_server

PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
LITTLE, TOO_LITTLE = 20 << 30, 1 << 30  # free bytes
MIN_MEMORY_A_PROCESS = 1 << 30  # bytes of the machine's memory for each web process
START = "start it with make run, or start its parts separately (README.md, Configuration)"


def examine() -> Iterator[Finding]:
    """Run all checks. A check that raises is a finding too."""
    for look in EXAMINATIONS:
        try:
            yield from look()
        except Exception as broken:  # noqa: BLE001 - the other checks must still run
            yield Finding(look.__name__.strip("_"), WRONG, f"{type(broken).__name__}: {broken}", "See the message.")


def _python() -> Iterator[Finding]:
    version, text = sys.version_info, sys.version.split()[0]
    if f"{version.major}.{version.minor}" in PYTHONS:
        yield _mended("python", "Python", text, f"install Python {PYTHONS[-1]} or uv, then make environment")
    else:
        yield Finding("python", WRONG, f"{text} is none of {', '.join(PYTHONS)}", "make environment finds one of them")


def _inference() -> Iterator[Finding]:
    """Run a small model in a separate process, as the settings say."""
    chosen = settings.DIGITS_INFERENCE_PROVIDER, settings.DIGITS_INFERENCE_DEVICE
    command = [sys.executable, "-m", "digits_project.common.onnx_runtime", *chosen]
    done = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=120)
    if done.returncode:
        yield Finding("inference", WRONG, f"ONNX Runtime does not load: {last_line(done.stderr)}", "make environment")
        return
    found = json.loads(last_line(done.stdout))
    text = f"ONNX Runtime {found['version']} runs snapshots on {found['runs_on']}"
    if found["problem"]:
        missing = re.findall("with error: (.*)", done.stderr)[:1]  # what ONNX Runtime prints of a library
        mend = "docs/operating.md, Inference on a GPU or with OpenVINO; or set DIGITS_INFERENCE_PROVIDER=cpu"
        yield Finding("inference", WARNING, ": ".join([text, found["problem"], *missing]), mend)
    else:
        yield Finding("inference", OK, text)


def _database() -> Iterator[Finding]:
    connection = connections[DEFAULT_DB_ALIAS]
    try:
        connection.ensure_connection()
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except DatabaseError as away:
        yield Finding("database", WRONG, _first(away), f"{START}; or set DATABASE_URL")
        return
    version = connection.cursor().connection.server_version
    text = f"{version // 10000}.{version % 10000}"
    yield _mended(
        "database",
        "PostgreSQL",
        text,
        "upgrade with pg_upgrade, or restore a backup into a newer PostgreSQL (docs/operating.md, Backup)",
    )
    if missing:
        yield Finding("migrations", WRONG, f"{len(missing)} not applied", "manage.py migrate")
    else:
        yield Finding("migrations", OK, "all applied")


def _redis() -> Iterator[Finding]:
    try:
        server = queues.connection().info("server")
        listening, reapers = queues.live_workers(), queues.reapers()
    except RedisError as away:
        yield Finding("redis", WRONG, _first(away), f"{START}; or set REDIS_URL")
        return
    product = "Valkey" if "valkey_version" in server else "Redis"
    version = server.get("valkey_version", server["redis_version"])
    yield _mended("redis", product, version, "Python 3.11 or later brings Valkey; or install a newer valkey-server")
    for queue, work in (("io", "builds datasets"), ("train", "trains")):
        count = sum(number for name, number in listening.items() if name == queue or name.startswith(f"{queue}-"))
        if count:
            yield Finding("workers", OK, f"{count} {work}")
        else:
            yield Finding("workers", WRONG, f"none is alive that {work}", f"make run, or manage.py worker {queue}")
    if reapers:
        yield Finding("reaper", OK, f"running on {', '.join(reapers)}")
    else:
        text = "none is running: a job that loses its process stays Running"
        yield Finding("reaper", WRONG, text, "make run, or manage.py reaper, on any host")


def _disk() -> Iterator[Finding]:
    folder = next(path for path in (settings.DIGITS_JOBS_DIR, *settings.DIGITS_JOBS_DIR.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    state = WRONG if free < TOO_LITTLE else WARNING if free < LITTLE else OK
    mend = (
        ""
        if state == OK
        else (
            "delete with manage.py prune or manage.py delete_job, or set DIGITS_JOBS_DIR to a folder on a larger disk"
        )
    )
    yield Finding("disk", state, f"{free / 2**30:,.1f} GiB free for {settings.DIGITS_JOBS_DIR}", mend)


def _folders() -> Iterator[Finding]:
    for name, path in (("home", settings.DIGITS_HOME), ("jobs", settings.DIGITS_JOBS_DIR)):
        nearest = next(one for one in (path, *path.parents) if one.exists())
        if os.access(nearest, os.W_OK | os.X_OK):
            yield Finding(name, OK, str(path))
        else:
            yield Finding(name, WRONG, f"{path} can't be written by this user", f"chown it, or set {_variable(name)}")
    for root in settings.DIGITS_DATA_ROOTS:
        yield _data_root(root)


def _data_root(root: Path) -> Finding:
    if not root.is_dir():
        return Finding("data", WARNING, f"{root} is not a folder", f"mkdir -p {root}")
    if not os.access(root, os.R_OK | os.X_OK):
        return Finding("data", WRONG, f"{root} can't be read by this user", "chmod or chown it")
    return Finding("data", OK, f"{root} can be read")


def _safety() -> Iterator[Finding]:
    found = [Finding("safety", WRONG, error.msg, error.hint or "") for error in unsafe_combinations(None)]
    yield from found or [Finding("safety", OK, f"DIGITS_AUTH is {settings.DIGITS_AUTH}; keys are private")]


def _web() -> Iterator[Finding]:
    """The number of web processes, and whether this machine suits it."""
    mend = "unset DIGITS_WEB_PROCESSES, or set it to {}"
    cores, memory = usable_cores(), limit().size
    try:
        count = web_server.processes_from_environment()
    except web_server.StackError as wrong:
        yield Finding("web", WRONG, str(wrong), mend.format(web_server.suitable_processes(cores, memory)))
        return
    text = f"{count} web process{'es' if count > 1 else ''} for {cores} cores and {gibibytes(memory)}"
    if count > cores or (count > 1 and memory // count < MIN_MEMORY_A_PROCESS):
        yield Finding("web", WARNING, text, mend.format(web_server.suitable_processes(cores, memory)))
    else:
        yield Finding("web", OK, text)


def _port() -> Iterator[Finding]:
    if processes.is_locked(settings.DIGITS_HOME / "lock"):
        yield Finding("server", OK, f"make run is running on {settings.DIGITS_HOME}")
        return
    port = web_server.port_from_environment()
    with web_server.listen(port) as listener:
        free = listener.getsockname()[1]
    if free == port or port == 0:
        yield Finding("port", OK, f"{port} is free")
    else:
        yield Finding("port", WARNING, f"{port} is taken; make run would take {free}", "set DIGITS_PORT")


def _mended(name: str, product: str, version: str, mend: str) -> Finding:
    """A warning if this version of `product` no longer gets security fixes."""
    numbers = tuple(map(int, re.findall(r"\d+", version)))
    text = version if name == "python" else f"{product} {version}"
    if not has_ended(product, numbers):
        return Finding(name, OK, text)
    end = supported_until(product, numbers)
    since = f" since {end:%B %Y}" if end and end > date.min else ""
    return Finding(name, WARNING, f"{text}: out of support{since}, no more security fixes", mend)


def _variable(name: str) -> str:
    return {"home": "DIGITS_HOME", "jobs": "DIGITS_JOBS_DIR"}[name]


def _first(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


EXAMINATIONS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python, engines, _inference, gpus, _database, waiting_jobs, _redis, _disk, _folders, _safety, _web, _port,
)  # fmt: skip
