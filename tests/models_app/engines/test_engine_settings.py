"""DIGITS_ENGINE and DIGITS_TORCH_PYTHON: which engine `auto` prefers, and the Python of PyTorch."""

import pytest
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from digits_project import environment
from models_app.training.engines import candidates, registry
from models_app.training.engines.torch_declaration import TORCH

NAME = "DIGITS_TORCH_PYTHON"


@pytest.fixture
def start(monkeypatch, settings):
    """A function that configures the engines with these settings, as a start of the server does."""
    monkeypatch.setattr(registry, "PREFERRED", [])
    monkeypatch.setitem(registry.PYTHONS, "torch", "")  # undone with the rest

    def start(**values):
        for name, value in values.items():
            setattr(settings, name, value)
        apps.get_app_config("models_app").ready()

    return start


@pytest.mark.parametrize("engine, order", [("auto", ("mxnet", "torch")), ("torch", ("torch", "mxnet"))])
def test_digits_engine_comes_first_in_auto_and_the_others_behind_it(start, engine, order):
    start(DIGITS_ENGINE=engine)
    assert candidates() == order


def test_an_unknown_digits_engine_stops_the_start_with_those_that_there_are(start):
    with pytest.raises(ImproperlyConfigured) as raised:
        start(DIGITS_ENGINE="caffe")
    assert str(raised.value) == "DIGITS_ENGINE: there is no engine 'caffe'; choose one of mxnet, torch; or auto"


def test_the_setting_names_the_python_of_pytorch(start):
    start(DIGITS_TORCH_PYTHON="/opt/torch/bin/python")
    assert TORCH.python() == "/opt/torch/bin/python"


def test_the_python_of_make_torch_is_used_if_no_other_is_named(monkeypatch, tmp_path):
    own = tmp_path / "python"
    monkeypatch.delenv(NAME, raising=False)
    assert environment.interpreter(NAME, own) == ""
    own.touch()
    assert environment.interpreter(NAME, own) == str(own)
    monkeypatch.setenv(NAME, "/opt/torch/bin/python")
    assert environment.interpreter(NAME, own) == "/opt/torch/bin/python"
