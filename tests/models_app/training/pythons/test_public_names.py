"""Our packages datasets and inference, and public packages of the same names that an engine's library imports."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import datasets
import inference
from datasets import imagedb
from models_app.training.engines.torch_declaration import TORCH
from models_app.training.pythons import launcher
from models_app.training.pythons.launcher import PACKAGES, trainer_command
from models_app.training.pythons.public_names import import_libraries
from tests.support.server import ROOT


@pytest.fixture
def public(tmp_path):
    """A folder with public packages named datasets and inference, and a library that imports both."""
    for name in ("datasets", "inference"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"from {name}.arrow import KIND\n")
        (tmp_path / name / "arrow.py").write_text('KIND = "public"\n')
    (tmp_path / "sample_library.py").write_text(
        "import datasets, inference, datasets.arrow\nKINDS = datasets.KIND, inference.KIND, datasets.arrow.KIND\n"
    )
    return tmp_path


def test_a_library_gets_the_public_packages_and_we_keep_ours(public, monkeypatch):
    monkeypatch.syspath_prepend(public)
    import_libraries(["sample_library"])
    library = sys.modules.pop("sample_library")
    assert library.KINDS == ("public", "public", "public")
    found = [importlib.import_module(name) for name in ("datasets", "datasets.imagedb", "inference")]
    assert found == [datasets, imagedb, inference]
    assert "datasets.arrow" not in sys.modules


def test_a_library_without_those_packages_is_told_that_there_are_none(tmp_path, monkeypatch):
    (tmp_path / "lonely_library.py").write_text(
        "import importlib.util\nFOUND = [importlib.util.find_spec(name) for name in ('datasets', 'inference')]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import_libraries(["lonely_library"])
    assert sys.modules.pop("lonely_library").FOUND == [None, None]


def run(python, public):
    environment = os.environ | {"PYTHONPATH": str(public)}
    command = trainer_command(python, "--load", "mxnet" if python == sys.executable else "torch")
    return subprocess.run(command, cwd=public, env=environment, capture_output=True, text=True, timeout=300)


@pytest.mark.slow(2)
def test_a_trainer_gets_our_packages_where_public_ones_are_installed(public):
    done = run(sys.executable, public)
    assert (done.returncode, done.stdout) == (0, "1.9.1\n"), done.stderr


@pytest.mark.torch
@pytest.mark.slow(4)
def test_a_trainer_in_the_environment_of_pytorch_gets_our_packages_too(public):
    done = run(TORCH.python(), public)
    assert (done.returncode, done.stdout.partition("+")[0].strip()) == (0, TORCH.version()), done.stderr


def test_a_trainer_that_can_not_import_what_it_needs_reports_it_as_an_event(tmp_path):
    (tmp_path / "numpy.py").write_text("raise ImportError('this NumPy is broken')\n")
    done = run(sys.executable, tmp_path)
    assert done.returncode == 1
    assert '"blame": "host"' in done.stdout
    assert f"The trainer can't start in {sys.executable}: this NumPy is broken." in done.stdout


@pytest.mark.slow(2)
def test_a_trainer_imports_nothing_but_our_packages_from_the_folder_in_which_pip_installed_them(tmp_path):
    """That folder is the site-packages of the server's Python, and the trainer can run in another one."""
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "static"))
    for name in ("numpy", "PIL", "onnx"):
        (tmp_path / f"{name}.py").write_text("raise ImportError('of another Python')\n")
    program = tmp_path / Path(launcher.__file__).relative_to(ROOT)
    command = [sys.executable, program, *trainer_command(sys.executable, "--load", "mxnet")[2:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "1.9.1\n"), done.stderr
