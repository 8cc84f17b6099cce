"""What the server knows of PyTorch without loading it: whether it is installed, and for which GPUs it has code."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from models_app.training.engines import registry
from models_app.training.engines.mxnet_declaration import MXNET
from models_app.training.engines.torch_declaration import ANOTHER, OWN_PYTHON, TORCH, supports
from tests.support.engines.torch_environment import ARCHITECTURES, write_python
from tests.support.server import ROOT

INSTALL = "{python} -m pip install -r requirements/torch.txt"
AGAIN = "{python} -m pip install --force-reinstall -r requirements/torch.txt"
HOPPER, BLACKWELL, BLACKWELL_OF_A_DESK, MAXWELL = (9, 0), (10, 0), (12, 0), (5, 2)


@pytest.fixture
def python(tmp_path, monkeypatch):
    """A function that makes a program which pretends to be a Python with PyTorch the one of the torch engine."""

    def python(**facts):
        monkeypatch.setitem(registry.PYTHONS, "torch", write_python(tmp_path / "python", **facts))
        return tmp_path / "python"

    return python


def asked(python: Path) -> int:
    return len(python.with_name("python.asked").read_text().splitlines())


def test_pytorch_in_its_own_environment_is_installed_with_its_version(python):
    path = python()
    assert (TORCH.python(), TORCH.is_installed(), TORCH.version()) == (str(path), True, "2.14.1")


@pytest.mark.parametrize("capability", [HOPPER, BLACKWELL, BLACKWELL_OF_A_DESK])
def test_pytorch_runs_on_hopper_and_blackwell_and_mxnet_does_not(python, capability):
    python()
    assert (TORCH.runs_on(capability), MXNET.runs_on(capability)) == (True, False)


def test_pytorch_for_cuda_13_does_not_run_on_maxwell_and_says_which_code_it_has(python):
    python()
    assert TORCH.obstacle(MAXWELL) == (
        f"PyTorch 2.14.1 has code for {', '.join(ARCHITECTURES)}, and this GPU has compute capability 5.2"
    )


@pytest.mark.parametrize(
    "facts, obstacle",
    [
        ({"lacks": ("torch",)}, f"PyTorch is not installed in {{python}} ({INSTALL})"),
        ({"lacks": ("numpy", "onnx")}, f"{{python}} has PyTorch, but not numpy, onnx ({INSTALL})"),
        ({"version": (3, 9)}, f"{{python}} is Python 3.9; a trainer needs 3.10 to 3.14 ({ANOTHER})"),
    ],
)
def test_an_environment_that_lacks_something_is_named_with_what_to_do(python, facts, obstacle):
    path = python(**facts)
    assert TORCH.obstacle(None) == obstacle.format(python=path)


def test_a_python_that_does_not_exist_is_named(monkeypatch):
    monkeypatch.setitem(registry.PYTHONS, "torch", "/nowhere/python")
    assert TORCH.problem().startswith("The Python of PyTorch, /nowhere/python, does not run: ")
    assert TORCH.obstacle(None).endswith(f" ({ANOTHER})")


def test_make_torch_is_the_remedy_for_the_environment_that_it_makes(monkeypatch):
    monkeypatch.setitem(registry.PYTHONS, "torch", OWN_PYTHON)
    assert TORCH.remedy() == "make torch"


@pytest.mark.parametrize("output", [r"\377\376", "[1]", "{}", "null"])
def test_a_program_that_is_no_python_is_named_with_what_is_wrong(monkeypatch, tmp_path, output):
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\nprintf '{output}\\n'\n")
    path.chmod(0o755)
    monkeypatch.setitem(registry.PYTHONS, "torch", str(path))
    assert TORCH.problem() == (
        f"The Python of PyTorch, {path}, does not run: it printed something else than a Python does"
    )
    assert TORCH.version() == ""


@pytest.mark.parametrize(
    "facts, obstacle",
    [
        ({"cuda": ""}, f"PyTorch 2.14.1 in {{python}} is built without CUDA ({AGAIN})"),
        ({"problem": "The NVIDIA driver is too old"},
         "PyTorch 2.14.1 for CUDA 13.0 can't use the GPUs of this host: The NVIDIA driver is too old"),
        ({"broken": "ImportError: no libcudart"},
         f"PyTorch does not load in {{python}}: ImportError: no libcudart ({AGAIN})"),
    ],
)  # fmt: skip
def test_a_pytorch_that_can_use_no_gpu_says_why(python, facts, obstacle):
    path = python(**facts)
    assert TORCH.obstacle(HOPPER) == obstacle.format(python=path)
    assert TORCH.obstacle(None) == ""


def test_an_environment_is_asked_once_until_it_changes(python):
    path = python()
    assert [TORCH.version(), TORCH.obstacle(HOPPER), TORCH.obstacle(BLACKWELL), TORCH.version()] == [
        "2.14.1", "", "", "2.14.1",
    ]  # fmt: skip
    assert asked(path) == 2  # for the versions of packages, and for the architectures
    os.utime(path, ns=(1, 1))
    assert (TORCH.version(), asked(path)) == ("2.14.1", 3)


@pytest.mark.parametrize(
    "architectures, capability, runs",
    [
        (["sm_86"], (8, 6), True), (["sm_86"], (8, 9), True), (["sm_86"], (8, 0), False), (["sm_86"], (9, 0), False),
        (["sm_90a"], (9, 0), True), (["sm_90a"], (9, 1), False), (["sm_100f"], (10, 3), True),
        (["compute_90"], (12, 0), True), (["compute_120"], (9, 0), False), ([], (9, 0), False),
    ],
)  # fmt: skip
def test_code_for_an_architecture_runs_on_later_minor_versions_and_ptx_on_all_later_ones(
    architectures, capability, runs
):
    assert supports(architectures, capability) is runs


def test_without_a_python_of_its_own_pytorch_is_that_of_the_server(monkeypatch):
    monkeypatch.delitem(registry.PYTHONS, "torch", raising=False)
    assert TORCH.python() == sys.executable


def test_the_server_imports_no_engine_when_it_reads_what_pytorch_can_do(python):
    python()
    program = (
        "import os, sys; os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'digits_project.settings');"
        "import django; django.setup();"
        "from models_app.training.engines import ENGINES;"
        "ENGINES['torch'].obstacle((9, 0)); print([name for name in ('torch', 'mxnet') if name in sys.modules])"
    )
    environment = os.environ | {"DIGITS_TORCH_PYTHON": registry.PYTHONS["torch"]}
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
