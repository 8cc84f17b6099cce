"""Runs the tests of engines in the Python of one engine, which can lack Django, the services and the plugins of tests/.

It is a pytest plugin itself, which leaves out the tests that use no engine.
"""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
TESTS = ROOT / "tests/models_app"
FIXTURE = "engine_name"
USE = f'"{FIXTURE}"'  # as a mark has it
WARNINGS = ("-W", "error", "-W", "ignore::pytest.PytestUnknownMarkWarning")  # marks are declared in pyproject.toml


def conformance_files(*folders: Path) -> list[str]:
    """The files below folders of tests whose tests run once for each engine."""
    found = sorted(path for folder in folders for path in folder.rglob("test_*.py"))
    return [str(path) for path in found if USE in path.read_text()]


def run_conformance_tests(python: str, files: list[str]) -> subprocess.CompletedProcess[str]:
    """Run these files' tests of engines in this Python, without the configuration and the fixtures of tests/."""
    own = ("-c", os.devnull, "--rootdir", str(ROOT), "--confcutdir", str(TESTS), "-p", "no:cacheprovider")
    command = (python, "-m", "pytest", "-p", __name__, *own, *WARNINGS, "-q", "--durations=5", *files)
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def pytest_collection_modifyitems(config, items):
    others = [item for item in items if FIXTURE not in item.fixturenames]
    items[:] = [item for item in items if FIXTURE in item.fixturenames]
    config.hook.pytest_deselected(items=others)
