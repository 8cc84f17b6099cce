"""The pre-commit hooks are checks of `make lint`, run with the tools of the environment."""

import shlex
import subprocess
import sys

import pytest
import yaml

from tests.support.server import ROOT

CONFIG = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
HOOKS = {hook["id"]: hook for repository in CONFIG["repos"] for hook in repository["hooks"]}
LINT = (ROOT / "Makefile").read_text().partition("\nlint:")[2].partition("\n\n")[0]


def command(hook):
    """The words of a hook's command, with this Python in place of that in .venv."""
    program, *arguments = shlex.split(hook["entry"])
    assert program == ".venv/bin/python"
    return [sys.executable, *arguments]


def test_all_hooks_run_locally_in_the_environment():
    assert {repository["repo"] for repository in CONFIG["repos"]} == {"local"}
    assert {hook["language"] for hook in HOOKS.values()} == {"system"}
    assert set(HOOKS) == {"ruff-check", "ruff-format", "import-contracts", "types", "migrations"}


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_a_hook_runs_a_command_of_make_lint(name):
    words = [word for word in command(HOOKS[name])[1:] if word != "--force-exclude"]
    linted = [shlex.split(line, comments=True)[1:] for line in LINT.splitlines()[1:]]
    assert words in [line[: len(words)] for line in linted]


@pytest.mark.parametrize("name", ["ruff-check", "ruff-format"])
@pytest.mark.parametrize("content, status", [("x = [1]\n", 0), ("import os\nx = [ 1 ]\n", 1)], ids=["good", "bad"])
def test_a_hook_on_files_fails_on_a_bad_file_only(name, content, status, tmp_path):
    path = tmp_path / "module.py"
    path.write_text(content)
    words = [*command(HOOKS[name]), "--config", ROOT / "pyproject.toml", path]
    assert subprocess.run(words, capture_output=True).returncode == status


def test_pre_commit_accepts_the_configuration():
    checked = subprocess.run(
        [sys.executable, "-m", "pre_commit", "validate-config", ROOT / ".pre-commit-config.yaml"],
        capture_output=True,
        text=True,
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["import-contracts", "migrations"])
def test_a_hook_on_the_whole_project_passes(name):
    assert subprocess.run(command(HOOKS[name]), cwd=ROOT, capture_output=True).returncode == 0
