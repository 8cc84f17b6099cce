"""What the doctor reports of the registered engines, and of the GPUs that they can use."""

from dataclasses import replace

import numpy
import pytest

from digits_project.jobs.scheduling import devices
from digits_project.monitoring import engine_checks
from models_app.training.engines import registry
from models_app.training.engines.mxnet_declaration import MXNET
from models_app.training.engines.torch_declaration import TORCH
from tests.support.samples.engine_samples import MISSING, SECOND, register_only

BROKEN = replace(SECOND, name="broken", title="Broken", module="tests.no_such_module")


@pytest.fixture
def gpus(monkeypatch):
    """Puts GPUs of these compute capabilities into this host."""

    def gpus(*capabilities):
        found = [devices.Gpu(index, "Sample", 16 << 30, capability) for index, capability in enumerate(capabilities)]
        monkeypatch.setattr(devices, "find_gpus", lambda: found)

    return gpus


def reported(examination, name: str) -> list[tuple[str, str]]:
    return [(finding.state, finding.text) for finding in examination() if finding.name == name]


@pytest.mark.slow(2)
def test_the_doctor_lists_every_registered_engine_with_its_version_and_devices(monkeypatch, gpus):
    register_only(monkeypatch, MXNET, MISSING, SECOND)
    gpus((8, 0), (12, 1))
    assert reported(engine_checks.engines, "engine") == [
        ("ok", "MXNet 1.9.1 can use cpu"),
        ("ok", "Missing is not installed"),
        ("ok", f"Second {numpy.__version__} can use cpu, gpu0"),
    ]


@pytest.mark.slow(2)
def test_the_doctor_says_which_engine_auto_takes_on_each_device(monkeypatch, gpus):
    register_only(monkeypatch, MXNET, SECOND)
    gpus((8, 0), (12, 1), (9, 0))
    assert reported(engine_checks.engines, "auto") == [
        ("ok", "engine=auto takes MXNet on cpu; Second on gpu0, gpu2, if it can train the network")
    ]


def test_the_doctor_warns_where_no_engine_is_installed(monkeypatch, gpus):
    register_only(monkeypatch, MISSING)
    gpus()
    engine, auto = engine_checks.engines()
    assert (engine.state, engine.text) == ("warning", "Missing is not installed")
    assert (auto.state, auto.text) == ("warning", "no engine can use a device here: nothing can be trained")
    assert engine.mend.startswith(MISSING.install)
    assert auto.mend == MISSING.install


def test_the_doctor_warns_of_a_python_in_the_settings_that_does_not_run(monkeypatch, gpus):
    register_only(monkeypatch, MXNET, TORCH)
    monkeypatch.setitem(registry.PYTHONS, "torch", "/nowhere/python")
    gpus()
    [(state, text)] = [one for one in reported(engine_checks.engines, "engine") if "MXNet" not in one[1]]
    assert state == "warning"
    assert text.startswith("The Python of PyTorch, /nowhere/python, does not run: ")


def test_the_doctor_finds_an_engine_that_does_not_load(monkeypatch, gpus):
    register_only(monkeypatch, BROKEN)
    gpus()
    engine, _ = engine_checks.engines()
    assert (engine.state, engine.text) == (
        "wrong", "Broken does not load: ModuleNotFoundError: No module named 'tests.no_such_module'",
    )  # fmt: skip
    assert BROKEN.install in engine.mend


def test_the_doctor_says_what_to_install_for_a_gpu_that_no_engine_can_use(monkeypatch, gpus):
    register_only(monkeypatch, MXNET, replace(SECOND, gpu_install="pip install second-gpu"))
    gpus((8, 0), (12, 1))
    usable, unusable = engine_checks.gpus()
    assert (usable.state, usable.text) == ("ok", "0: Sample, 16 GiB")
    assert unusable.text == "1: Sample, 16 GiB: no engine has code for compute capability 12.1"
    assert unusable.mend == (
        "pip install --no-deps -r requirements/gpu.txt; MXNet then has code for compute capabilities 5.0 to 8.6; or "
        "pip install second-gpu; Second then has code for compute capabilities 7.5 to 12.0"
    )
