"""Runs a module of this project in any Python: `python launcher.py --parent PID MODULE [ARGUMENT …]`.

The Python can be that of another environment, without this project. Our packages are found by their names alone: their
folder, which can be the site-packages of the server's environment, is not on sys.path, so every other package comes
from the environment of the Python that runs.

The process ends with its parent, the process PID, from its first moments on: the imports of an engine take seconds.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("digits_project", "datasets", "models_app", "inference")
TRAINER = "models_app.training"
STOPPED = 3  # the exit status of a trainer that was stopped (training/process.py)


class OurPackages:
    """Finds the packages of this project, before sys.path is searched; an entry of sys.meta_path."""

    finds_our_packages = True  # see public_names.py

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(ROOT)]) if name in PACKAGES else None


def trainer_command(python: str, *arguments: str) -> list[str]:
    """The command that runs a trainer, `models_app.training`, in this Python, as a child of this process."""
    return [python, str(Path(__file__).resolve()), "--parent", str(os.getpid()), TRAINER, *arguments]


def launch(module: str, parent: int) -> None:
    """Run the module as `python -m` does, as long as the process `parent` lives. If it can't be imported, write the
    trainer's event `error`."""
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if entry != here]  # its modules have names such as config
    sys.meta_path.insert(0, OurPackages)
    try:
        _end_with(parent)
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except ImportError as broken:
        _report(f"The trainer can't start in {sys.executable}: {broken}. manage.py doctor says what is missing.")
        raise


def _end_with(parent: int) -> None:
    """Let the kernel end this process with its parent. Exits if that has ended already, or is another process."""
    own = os.getppid()
    if own != parent and _parent_of(own) == parent:
        message = (
            f"Between the server and the trainer's Python, {sys.executable}, runs another program, so that the trainer "
            "could outlive the server. If DIGITS_TORCH_PYTHON names a script, let it start the Python with exec."
        )
        _report(message)
        sys.exit(message)
    # By its name, because this file is run by its path, before our packages can be found.
    importlib.import_module("digits_project.common.processes").die_with(parent, status=STOPPED)


def _parent_of(process: int) -> int:
    """The parent of a process; 0 if it has none, or has ended."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def _report(message: str) -> None:
    """Write the trainer's event `error` about a problem of this host."""
    print(json.dumps({"event": "error", "blame": "host", "message": message}), flush=True)


if __name__ == "__main__":
    _, _, number, name = sys.argv[:4]
    del sys.argv[:3]
    launch(name, int(number))
