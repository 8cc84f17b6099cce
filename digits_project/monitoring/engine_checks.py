"""The doctor's checks of engines and GPUs, and of the jobs that wait for one; Finding, the result of a check."""

import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from django.conf import settings
from django.db import DatabaseError

from digits_project.common.resources import ComputeCapability
from digits_project.jobs import overview
from digits_project.jobs.models import Job
from digits_project.jobs.scheduling import devices
from digits_project.jobs.scheduling.job_engine import JobEngine

OK, WARNING, WRONG = "ok", "warning", "wrong"


class Finding(NamedTuple):
    """A check's name, its result, and how to fix the problem if there is one."""

    name: str
    state: str
    text: str
    mend: str = ""


def engines() -> Iterator[Finding]:
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
            yield Finding("engine", state, engine.problem(), f"{engine.remedy()}, on hosts that train")
    yield _auto({device: devices.engines_of(capability) for device, capability in capabilities.items()})


def _gpu_capabilities() -> dict[str, ComputeCapability]:
    return {f"gpu{gpu.index}": gpu.compute_capability for gpu in devices.find_gpus()}


def _loaded(engine: JobEngine, usable: str) -> Finding:
    """Load an engine in a separate process, and report its version or the error."""
    done = subprocess.run(engine.load_command(), cwd=settings.BASE_DIR, capture_output=True, text=True, timeout=120)
    if not done.returncode:
        where = "" if engine.python() == sys.executable else f" in {engine.python()}"
        return Finding("engine", OK, f"{engine.title} {done.stdout.strip()}{where} can use {usable}")
    mend = f"install it again: {engine.remedy()}"
    if engine.python() == sys.executable:
        mend = f"rm -rf .venv; make environment; or {mend}"
    return Finding("engine", WRONG, f"{engine.title} does not load: {last_line(done.stderr)}", mend)


def _auto(usable: Mapping[str, Sequence[str]]) -> Finding:
    """The engine that engine=auto takes on each device, from the names of those that can use the device."""
    titles = {engine.name: engine.title for engine in devices.all_engines()}
    taken: dict[str, list[str]] = {}
    for device, names in usable.items():
        for name in names[:1]:
            taken.setdefault(titles[name], []).append(device)
    if not taken:
        mend = "; or ".join(engine.remedy() for engine in devices.all_engines())
        return Finding("auto", WARNING, "no engine can use a device here: nothing can be trained", mend)
    chosen = "; ".join(f"{title} on {', '.join(where)}" for title, where in taken.items())
    return Finding("auto", OK, f"engine=auto takes {chosen}, if it can train the network")


def waiting_jobs() -> Iterator[Finding]:
    """The jobs that wait for an engine, or for weights, that no host has."""
    try:
        lacking = overview.lacking_devices()
    except DatabaseError:
        return  # the check of the database reports it
    for reason, jobs in lacking.items():
        mend = "install what is missing and restart the train worker of that host; or abort the jobs"
        yield Finding("jobs", WARNING, f"{jobs[0].name}{_and_more(jobs)}: {reason}", mend)


def _and_more(jobs: Sequence[Job]) -> str:
    return f" and {len(jobs) - 1} more" if len(jobs) > 1 else ""


def gpus() -> Iterator[Finding]:
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
        f"{engine.gpu_remedy()}; {engine.title} then has code for compute capabilities "
        f"{_dotted(low)} to {_dotted(high)}"
        for engine in devices.all_engines()
        for low, high in filter(None, [engine.gpu_capabilities()])
    )


def _dotted(capability: ComputeCapability) -> str:
    return ".".join(map(str, capability))


def last_line(text: str) -> str:
    return next(iter(text.strip().splitlines()[-1:]), "it printed no message")
