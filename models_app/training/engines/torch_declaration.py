"""The registry's entry of the PyTorch engine, which usually has an environment of its own, made by `make torch`.

This module loads no PyTorch. It asks the environment's Python, in a process of its own: for the versions of its
packages, which takes a tenth of a second, and only on a host with a GPU for the GPUs that PyTorch has code for.
"""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from digits_project.common.resources import ComputeCapability
from models_app.networks.layers import TYPES
from models_app.networks.timm.timm_network import LAYER_TYPE as TIMM_LAYER
from models_app.training.engines.registry import PYTHONS, EngineDeclaration, dotted, register
from models_app.training.pythons.launcher import ROOT, trainer_command

MIN_PYTHON, MAX_PYTHON = (3, 10), (3, 14)
NEEDED = ("numpy", "PIL", "onnx", "onnxruntime", "torch")  # modules that the trainer imports
PACKAGES = ("torch", "torchvision", "timm")
OWN_PYTHON = str(ROOT / ".venv-torch/bin/python")  # which `make torch` makes
REQUIREMENTS = "requirements/torch.txt"
ANOTHER = "unset DIGITS_TORCH_PYTHON and run make torch, or let it name a Python that has PyTorch"
ASK_SECONDS = 300  # the first import of PyTorch reads gigabytes from the disk
# Programs for the environment's Python; each prints JSON.
FIND = f"""
import json, sys
from importlib import metadata, util
def version(name):
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""
missing = [name for name in {NEEDED!r} if util.find_spec(name) is None]
versions = {{name: version(name) for name in {PACKAGES!r}}}
print(json.dumps({{"python": sys.version_info[:2], "missing": missing, "versions": versions}}))
"""
LOAD = """
import json, torch
flags = getattr(torch._C, "_cuda_getArchFlags", None)
architectures = (flags() or "").split() if flags else []
problem = ""
try:
    torch.cuda.init()
except Exception as error:  # the driver is too old, for example
    problem = str(error).partition(". ")[0].strip().rstrip(".")
print(json.dumps({"cuda": torch.version.cuda or "", "architectures": architectures, "problem": problem}))
"""
FACTS = {FIND: {"python", "missing", "versions"}, LOAD: {"cuda", "architectures", "problem"}}  # what they print


class Asked(NamedTuple):
    """What a program printed, and what went wrong; one of them is empty."""

    facts: dict[str, Any]
    problem: str = ""


class TorchDeclaration(EngineDeclaration):
    """PyTorch in the Python that DIGITS_TORCH_PYTHON names, else in the server's own."""

    def python(self) -> str:
        return PYTHONS.get(self.name) or sys.executable

    def version(self) -> str:
        found = _ask(self.python(), FIND, *_state(self.python()))
        return found.facts["versions"]["torch"] if self.is_installed() else ""

    def gpu_obstacle(self, capability: ComputeCapability) -> str:
        loaded = _ask(self.python(), LOAD, *_state(self.python()))
        if loaded.problem:
            return f"{self.title} does not load in {self.python()}: {loaded.problem} ({self.gpu_remedy()})"
        has, architectures = f"{self.title} {self.version()}", loaded.facts["architectures"]
        if not loaded.facts["cuda"]:
            return f"{has} in {self.python()} is built without CUDA ({self.gpu_remedy()})"
        if loaded.facts["problem"]:
            return f"{has} for CUDA {loaded.facts['cuda']} can't use the GPUs of this host: {loaded.facts['problem']}"
        if supports(architectures, capability):
            return ""
        return (
            f"{has} has code for {', '.join(architectures)}, and this GPU has compute capability {dotted(capability)}"
        )

    def remedy(self) -> str:
        return self._remedy("install")

    def gpu_remedy(self) -> str:
        return self._remedy("install --force-reinstall")

    def _remedy(self, install: str) -> str:
        """What to do: in an environment that an operator chose, pip can install what is missing, if its Python runs."""
        python = self.python()
        if python == OWN_PYTHON or (python == sys.executable and not self.is_importable()):
            return self.install
        found = _ask(python, FIND, *_state(python))
        if found.problem or not MIN_PYTHON <= tuple(found.facts["python"]) <= MAX_PYTHON:
            return ANOTHER
        return f"{python} -m pip {install} -r {REQUIREMENTS}"

    def load_command(self) -> list[str]:
        return trainer_command(self.python(), "--load", self.name)

    def problem(self) -> str:
        python = self.python()
        if python == sys.executable and not self.is_importable():
            return f"{self.title} is not installed"
        found = _ask(python, FIND, *_state(python))
        if found.problem:
            return f"The Python of {self.title}, {python}, does not run: {found.problem}"
        missing, version = found.facts["missing"], tuple(found.facts["python"])
        if "torch" in missing:
            return f"{self.title} is not installed in {python}"
        if not MIN_PYTHON <= version <= MAX_PYTHON:
            supported = f"{dotted(MIN_PYTHON)} to {dotted(MAX_PYTHON)}"
            return f"{python} is Python {dotted(version)}; a trainer needs {supported}"
        return f"{python} has {self.title}, but not {', '.join(missing)}" if missing else ""


def supports(architectures: Sequence[str], capability: ComputeCapability) -> bool:
    """Whether code for these architectures, such as sm_86 or compute_120, runs on a GPU of this capability.

    sm_86 is machine code for capabilities 8.6 to 8.9, sm_90a for 9.0 alone, and compute_120 is compiled by the driver
    for any capability from 12.0.
    """
    return any(_runs(architecture, capability) for architecture in architectures)


def _runs(architecture: str, capability: ComputeCapability) -> bool:
    found = re.fullmatch(r"(sm|compute)_(\d+)(\d)([a-z]?)", architecture)
    if not found:
        return False
    kind, lowest, variant = found[1], (int(found[2]), int(found[3])), found[4]
    if variant == "a":
        return capability == lowest
    return capability >= lowest and (kind == "compute" or capability[0] == lowest[0])


def _state(python: str) -> tuple[int, ...]:
    """The times of the last changes of a Python and of its packages; () if there is no such file."""
    program = Path(python)
    folders = (program, *program.parent.parent.glob("lib/python3*/site-packages"))
    try:
        return tuple(path.stat().st_mtime_ns for path in folders)
    except OSError:
        return ()


@functools.cache
def _ask(python: str, program: str, *state: int) -> Asked:
    """The JSON that the program prints in this Python. `state` is part of the key of the cache."""
    command = [python, "-E", "-c", program]
    try:
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, errors="replace", timeout=ASK_SECONDS)
    except (OSError, subprocess.TimeoutExpired) as broken:
        return Asked({}, str(broken))
    try:
        facts = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        facts = None
    if isinstance(facts, dict) and facts.keys() >= FACTS[program]:
        return Asked(facts)
    if done.returncode:
        return Asked({}, next(iter(done.stderr.strip().splitlines()[-1:]), f"exit status {done.returncode}"))
    return Asked({}, "it printed something else than a Python does")


TORCH = register(
    TorchDeclaration(
        name="torch",
        title="PyTorch",
        module="models_app.training.engines.torch.torch_engine",
        package="torch",
        install="make torch",
        layer_types=frozenset((*TYPES, TIMM_LAYER)),
        timm_module="models_app.training.engines.torch.timm_networks",
        gpu_install="make torch",
        ranks_module="models_app.training.engines.torch.distributed.torchrun",
        gpu_wheels={"torch": ((7, 5), (12, 1))},  # of the version in requirements/torch.txt; see gpu_obstacle()
        libraries=("torch",),
    )
)
