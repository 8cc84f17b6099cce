"""Checks what a server needs, one by one, and says how to fix each problem. Works even if nothing else does."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from redis.exceptions import RedisError

from digits_project.accounts.checks import unsafe_combinations
from digits_project.common import processes
from digits_project.common.resources import ComputeCapability, gibibytes, limit, usable_cores
from digits_project.jobs.scheduling import devices, queues
from digits_project.jobs.scheduling.job_engine import JobEngine
from digits_project.monitoring.support_dates import has_ended, supported_until
from digits_project.stack import web_server

OK, WARNING, WRONG = "ok", "warning", "wrong"
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
LITTLE, TOO_LITTLE = 20 << 30, 1 << 30  # free bytes
MIN_MEMORY_A_PROCESS = 1 << 30  # bytes of the machine's memory for each web process
START = "start it with make run, or start its parts separately (README.md, Configuration)"


class Finding(NamedTuple):
    """A check's name, its result, and how to fix the problem if there is one."""

    name: str
    state: str
    text: str
    mend: str = ""


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


def _engine() -> Iterator[Finding]:
    """Each registered engine with the devices that it can use here, and the engine that engine=auto takes on each."""
    engines, capabilities = devices.all_engines(), {"cpu": None} | _gpu_capabilities()
    nothing_trains = not any(engine.is_installed() for engine in engines)
    for engine in engines:
        if engine.is_installed():
            obstacles = {device: engine.obstacle(capability) for device, capability in capabilities.items()}
            usable = [device for device, obstacle in obstacles.items() if not obstacle]
            yield _loaded(engine, ", ".join(usable) or "no device of this host")
            unusable = [(device, obstacle) for device, obstacle in obstacles.items() if obstacle]
            yield from (Finding("unusable", OK, f"{device}: {obstacle}") for device, obstacle in unusable)
        else:
            is_named = engine.python() != sys.executable  # by a setting: then the engine is wanted here
            state = WARNING if nothing_trains or is_named else OK
            yield Finding("engine", state, engine.problem(), f"{engine.install}, on hosts that train")
    yield _auto({device: devices.engines_of(capability) for device, capability in capabilities.items()})


def _gpu_capabilities() -> dict[str, ComputeCapability]:
    return {f"gpu{gpu.index}": gpu.compute_capability for gpu in devices.find_gpus()}


def _loaded(engine: JobEngine, usable: str) -> Finding:
    """Load an engine in a separate process, and report its version or the error."""
    done = subprocess.run(engine.load_command(), cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=120)
    if not done.returncode:
        where = "" if engine.python() == sys.executable else f" in {engine.python()}"
        return Finding("engine", OK, f"{engine.title} {done.stdout.strip()}{where} can use {usable}")
    mend = f"install it again: {engine.install}"
    if engine.python() == sys.executable:
        mend = f"rm -rf .venv; make environment; or {mend}"
    return Finding("engine", WRONG, f"{engine.title} does not load: {_last(done.stderr)}", mend)


def _auto(usable: Mapping[str, Sequence[str]]) -> Finding:
    """The engine that engine=auto takes on each device, from the names of those that can use the device."""
    titles = {engine.name: engine.title for engine in devices.all_engines()}
    taken: dict[str, list[str]] = {}
    for device, names in usable.items():
        for name in names[:1]:
            taken.setdefault(titles[name], []).append(device)
    if not taken:
        mend = "; or ".join(engine.install for engine in devices.all_engines())
        return Finding("auto", WARNING, "no engine can use a device here: nothing can be trained", mend)
    chosen = "; ".join(f"{title} on {', '.join(where)}" for title, where in taken.items())
    return Finding("auto", OK, f"engine=auto takes {chosen}, if it can train the network")


def _inference() -> Iterator[Finding]:
    """Run a small model in a separate process, as the settings say."""
    chosen = settings.DIGITS_INFERENCE_PROVIDER, settings.DIGITS_INFERENCE_DEVICE
    command = [sys.executable, "-m", "digits_project.common.onnx_runtime", *chosen]
    done = subprocess.run(command, cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=120)
    if done.returncode:
        yield Finding("inference", WRONG, f"ONNX Runtime does not load: {_last(done.stderr)}", "make environment")
        return
    found = json.loads(_last(done.stdout))
    text = f"ONNX Runtime {found['version']} runs snapshots on {found['runs_on']}"
    if found["problem"]:
        missing = re.findall("with error: (.*)", done.stderr)[:1]  # what ONNX Runtime prints of a library
        mend = "docs/operating.md, Inference on a GPU or with OpenVINO; or set DIGITS_INFERENCE_PROVIDER=cpu"
        yield Finding("inference", WARNING, ": ".join([text, found["problem"], *missing]), mend)
    else:
        yield Finding("inference", OK, text)


def _gpu() -> Iterator[Finding]:
    found = devices.find_gpus()
    if not found:
        yield Finding("gpu", OK, "none, or no driver: the CPU trains")
    for gpu in found:
        text = f"{gpu.index}: {gpu.model_name}, {gpu.memory / 2**30:.0f} GiB"
        if devices.engines_of(gpu.compute_capability):
            yield Finding("gpu", OK, text)
        else:
            text += f": no engine has code for compute capability {_dotted(gpu.compute_capability)}"
            yield Finding("gpu", WARNING, text, _gpu_engines())


def _gpu_engines() -> str:
    """The commands that install engines with code for GPUs, and for which GPUs they have code."""
    return "; or ".join(
        f"{engine.gpu_install}; {engine.title} then has code for compute capabilities {_dotted(low)} to {_dotted(high)}"
        for engine in devices.all_engines()
        for low, high in filter(None, [engine.gpu_capabilities()])
    )


def _dotted(capability: ComputeCapability) -> str:
    return ".".join(map(str, capability))


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


def _last(text: str) -> str:
    return next(iter(text.strip().splitlines()[-1:]), "it printed no message")


EXAMINATIONS: tuple[Callable[[], Iterator[Finding]], ...] = (
    _python, _engine, _inference, _gpu, _database, _redis, _disk, _folders, _safety, _web, _port,
)  # fmt: skip
