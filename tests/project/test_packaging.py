"""The wheel that `pip install .` builds: its version, commands, and files that are not Python."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings

import digits_project
from digits_project.stack.home import default_home
from tests.support.server import ROOT

PACKAGES = ("digits_project", "datasets", "models_app", "inference")
PROJECT = (ROOT / "pyproject.toml").read_text()


def files(pattern):
    found = (path for package in PACKAGES for path in (ROOT / package).rglob(pattern))
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


def test_the_version_is_written_in_one_place():
    assert 'version = { attr = "digits_project.__version__" }' in PROJECT
    assert settings.SPECTACULAR_SETTINGS["VERSION"] == digits_project.__version__
    stated = [
        path
        for path in (*files("*.py"), ROOT / "pyproject.toml")
        if f'"{digits_project.__version__}"' in path.read_text()
    ]
    assert stated == [Path(digits_project.__file__)]


@pytest.mark.parametrize("target", ["digits_project.command_line:main", "digits_project.stack.__main__:main"])
def test_a_command_of_the_package_names_a_function(target):
    module, _, function = target.partition(":")
    assert f'= "{target}"\n' in PROJECT
    assert callable(getattr(importlib.import_module(module), function))


def test_the_wheel_includes_each_file_that_is_not_python():
    assert '"*" = ["templates/**", "static/**", "catalogue.json"]' in PROJECT
    others = [path for path in files("*") if path.suffix != ".py"]
    assert others
    assert [path for path in others if not {"templates", "static", "catalogue.json"} & set(path.parts)] == []


def test_each_folder_of_modules_is_a_package():
    assert [path for path in files("*.py") if not (path.parent / "__init__.py").exists()] == []


@pytest.mark.parametrize("root, home", [("/srv/digits", "/srv/digits/var"), ("/v/lib/site-packages", "~/.digits")])
def test_an_installed_package_keeps_its_data_in_the_users_home(root, home):
    assert default_home(Path(root)) == Path(home).expanduser()


@pytest.mark.slow
@pytest.mark.parametrize("module", ["digits_project.stack", "digits_project.demo"])
def test_a_start_with_help_or_a_wrong_option_starts_no_server(module, tmp_path):
    for option, status in (("--help", 0), ("--port=8080", 2)):
        run = subprocess.run(
            [sys.executable, "-m", module, option],
            env=os.environ | {"DIGITS_HOME": str(tmp_path / "home")},
            capture_output=True,
            timeout=120,
        )
        assert (run.returncode, b"usage: " in run.stdout + run.stderr) == (status, True), run.stderr
    assert not (tmp_path / "home").exists()
