"""Runs a module of this project in any Python: `python launcher.py MODULE [ARGUMENT …]`.

The Python can be that of another environment, without this project. Our packages are found by their names alone: their
folder, which can be the site-packages of the server's environment, is not on sys.path, so every other package comes
from the environment of the Python that runs.
"""

from __future__ import annotations

import json
import runpy
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("digits_project", "datasets", "models_app", "inference")


class OurPackages:
    """Finds the packages of this project, before sys.path is searched; an entry of sys.meta_path."""

    finds_our_packages = True  # see public_names.py

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(ROOT)]) if name in PACKAGES else None


def trainer_command(python: str, *arguments: str) -> list[str]:
    """The command that runs a trainer, `models_app.training`, in this Python."""
    return [python, str(Path(__file__).resolve()), "models_app.training", *arguments]


def launch(module: str) -> None:
    """Run the module as `python -m` does. If it can't be imported, write the trainer's event `error`."""
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if entry != here]  # its modules have names such as config
    sys.meta_path.insert(0, OurPackages)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except ImportError as broken:
        message = f"The trainer can't start in {sys.executable}: {broken}. manage.py doctor says what is missing."
        print(json.dumps({"event": "error", "blame": "host", "message": message}), flush=True)
        raise


if __name__ == "__main__":
    del sys.argv[0]
    launch(sys.argv[0])
