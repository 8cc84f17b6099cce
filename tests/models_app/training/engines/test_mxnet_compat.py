"""The import of MXNet 1.9.1: names that NumPy has dropped, packages that it leaves out, and its threads."""

import importlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from models_app.training.engines.mxnet import compat
from models_app.training.engines.mxnet.compat import DROPPED_NAMES, FINANCIAL, mx


@pytest.mark.slow
def test_numpy_has_the_same_names_before_and_after_the_import_of_mxnet():
    program = (
        "import numpy; before = set(vars(numpy)); import models_app.training.engines.mxnet.compat; "
        "print(sorted(name for name in set(vars(numpy)) ^ before if not isinstance(getattr(numpy, name), type(numpy))))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_the_dropped_names_exist_only_within_the_context(monkeypatch):
    monkeypatch.delattr(np, "in1d", raising=False)
    with compat.names_that_numpy_dropped():
        assert np.in1d is DROPPED_NAMES["in1d"]
        assert set(DROPPED_NAMES) <= set(vars(np))
    assert "in1d" not in vars(np)


def test_the_dropped_names_are_removed_after_a_failed_import(monkeypatch):
    monkeypatch.delattr(np, "in1d", raising=False)
    with pytest.raises(ImportError), compat.names_that_numpy_dropped():
        raise ImportError
    assert "in1d" not in vars(np)


@pytest.mark.slow
def test_mxnet_is_imported_without_packages_and_functions_of_operators_that_nobody_calls():
    program = """
import sys
compiled = []
sys.addaudithook(lambda event, arguments: compiled.append(arguments[1]) if event == "compile" else None)
from models_app.training.engines.mxnet.compat import mx
print({'scipy', 'sklearn', 'requests', 'distutils', 'setuptools'} & set(sys.modules))
before = compiled.count("<string>")
mx.sym.Convolution(mx.sym.Variable("data"), kernel=(3, 3), num_filter=1)
print(before < 1000, compiled.count("<string>") - before)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\nTrue 1\n"


@pytest.mark.slow
def test_copies_of_large_arrays_start_no_openmp_threads_besides_those_that_compute():
    program = """
import os
from models_app.training.engines.mxnet.compat import mx
array = mx.nd.zeros((1000, 1000)) + 1
mx.nd.waitall()
before = len(os.listdir("/proc/self/task"))
array[:] = array.asnumpy()
array.asnumpy()
print(len(os.listdir("/proc/self/task")) - before)
"""
    environment = {**os.environ, "OMP_NUM_THREADS": "2"}
    command = [sys.executable, "-c", program]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert run.stdout == "0\n"


def test_a_package_that_was_imported_before_stays_importable_within_the_context():
    with compat.replaced({"json": None, "no_such_package": None}):
        assert importlib.import_module("json") is json
        with pytest.raises(ImportError):
            importlib.import_module("no_such_package")
    assert sys.modules["json"] is json
    assert "no_such_package" not in sys.modules


def test_the_replacement_of_a_dropped_function_computes_the_same_result():
    numbers = np.array([[3.0, 1.0], [0.0, 2.0]])
    assert DROPPED_NAMES["product"](numbers[:, 1]) == 2
    assert (DROPPED_NAMES["alltrue"](numbers), DROPPED_NAMES["sometrue"](numbers)) == (False, True)
    assert DROPPED_NAMES["msort"](numbers).tolist() == [[0, 1], [3, 2]]
    assert DROPPED_NAMES["trapz"](numbers[0]) == 2


@pytest.mark.parametrize("name", FINANCIAL)
def test_a_dropped_financial_function_names_the_package_that_has_it(name):
    with pytest.raises(NotImplementedError, match="numpy-financial"):
        DROPPED_NAMES[name](0.1, 2, 3)


def test_arrays_of_mxnet_accept_and_return_numpy_booleans():
    flags = mx.np.array(np.array([True, False]), dtype=np.bool_)
    assert flags.asnumpy().tolist() == [True, False]
