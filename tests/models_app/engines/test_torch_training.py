"""Trainings with PyTorch: by the worker, in the Python of PyTorch, and where it does not load."""

import sys

import pytest

from models_app.training.engines import ENGINES, registry
from models_app.training.engines.torch_declaration import TORCH
from tests.support.engines.torch_environment import write_python

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("open_server"), pytest.mark.slow(6)]


@pytest.fixture
def without_mxnet(monkeypatch):
    """Pretend that MXNet is not installed."""
    monkeypatch.setattr(type(ENGINES["mxnet"]), "is_importable", lambda engine: engine.name != "mxnet")


@pytest.mark.torch
def test_a_host_without_mxnet_trains_with_pytorch_and_shows_on_what_and_how_fast(
    client, built_dataset, make_model, without_mxnet, run_training_task
):
    model = run_training_task(make_model(built_dataset))
    assert (model.status, model.error, model.engine) == ("Done", "", "auto")
    facts = client.get(f"/models/{model.pk}.json").json()
    assert facts["engine_used"].startswith(f"torch {TORCH.version()}")
    assert (facts["devices_used"], facts["precision_used"]) == ("cpu", "fp32")
    assert facts["images_per_second"] > 0
    page = client.get(f"/models/{model.pk}", headers={"Accept": "text/html"}).content.decode()
    assert "<dt>Computed on</dt><dd>cpu in fp32, " in page
    assert "images a second" in page


@pytest.fixture(
    params=["ImportError('libc10.so: cannot open shared object file')", "AttributeError('numpy has no bool8')"]
)
def broken_torch(request, tmp_path, monkeypatch):
    """The exception with which `import torch` fails in PyTorch's Python, though PyTorch looks installed."""
    (tmp_path / "packages" / "torch").mkdir(parents=True)
    (tmp_path / "packages" / "torch" / "__init__.py").write_text(f"raise {request.param}\n")
    python = tmp_path / "python"
    write_python(tmp_path / "facts")
    python.write_text(
        f"""#!/bin/sh
case "$*" in
    *models_app.training*) PYTHONPATH='{tmp_path}/packages' exec '{sys.executable}' "$@" ;;
    *) exec '{tmp_path}/facts' "$@" ;;
esac
"""
    )
    python.chmod(0o755)
    monkeypatch.setitem(registry.PYTHONS, "torch", str(python))
    name, _, text = request.param.partition("('")
    return f"{name}: {text[:-2]}"


def test_a_pytorch_that_does_not_load_ends_the_training_with_its_reason(
    built_dataset, make_model, broken_torch, run_training_task
):
    model = run_training_task(make_model(built_dataset, engine="torch"))
    assert (model.status, model.lost_processes) == ("Error", 0)
    assert model.error == (
        f"PyTorch does not load in {sys.executable}: {broken_torch}. "
        "manage.py doctor on this host says more; install it again: "
        f"{sys.executable} -m pip install -r requirements/torch.txt"
    )


def test_a_pytorch_that_crashes_is_reported_as_a_crash_and_not_as_a_lack_of_memory(
    built_dataset, make_model, monkeypatch, tmp_path, run_training_task
):
    monkeypatch.setitem(registry.PYTHONS, "torch", write_python(tmp_path / "python", trains="kill -ILL $$"))
    model = run_training_task(make_model(built_dataset, engine="torch"))
    assert (model.status, model.lost_processes) == ("Waiting", 1)
    assert "The trainer was ended by SIGILL: a library crashed. manage.py doctor" in model.status_history[-1][2]
