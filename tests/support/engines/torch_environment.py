"""The tests that need PyTorch, and Pythons that only pretend to have it.

Mark a test that needs PyTorch with `pytest.mark.torch`: it runs if PyTorch is installed, in .venv-torch or in the
Python that DIGITS_TORCH_PYTHON names, and is skipped with the reason if not.
"""

import json
from pathlib import Path

import pytest

from models_app.training.engines.torch_declaration import NEEDED, TORCH

# The architectures that the PyTorch of requirements/torch.txt has code for.
ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120")


def missing() -> str:
    """Why no trainer on this host can load PyTorch, with what to do; "" if one can."""
    return TORCH.obstacle(None)


def skip_without_torch(items) -> None:
    """Skip the tests with the mark torch, if PyTorch is not installed."""
    marked = [item for item in items if item.get_closest_marker("torch")]
    if marked and (reason := missing()):
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


def write_python(
    path: Path, version=(3, 13), lacks=(), cuda="13.0", architectures=ARCHITECTURES, problem="", broken="", trains=":"
) -> str:
    """Write a program that the torch engine's declaration takes for a Python with PyTorch 2.14.1; returns its path.

    lacks: modules that it has not. problem: why CUDA can't be used. broken: the last line of the traceback with which
    `import torch` fails. trains: shell commands, which it runs as a trainer. The file `path`.asked gets a line for each
    start.
    """
    found = {"python": version, "missing": [name for name in NEEDED if name in lacks], "versions": {"torch": "2.14.1"}}
    loaded = f"echo '{json.dumps({'cuda': cuda, 'architectures': architectures, 'problem': problem})}'"
    if broken:
        loaded = f"echo '{broken}' >&2; exit 1"
    path.write_text(
        f"""#!/bin/sh
echo start >>'{path}.asked'
case "$1" in
    *launcher.py) {trains}; exit ;;
esac
case "$3" in
    *architectures*) {loaded} ;;
    *) echo '{json.dumps(found)}' ;;
esac
"""
    )
    path.chmod(0o755)
    return str(path)
