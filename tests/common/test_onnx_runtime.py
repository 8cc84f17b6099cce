"""Providers of ONNX Runtime: each gives the outputs of the CPU, and the CPU runs what no provider can.

They run with the installed package: install onnxruntime-gpu or onnxruntime-openvino to test those.
"""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from digits_project.common import onnx_runtime
from digits_project.common.onnx_runtime import (
    PROVIDERS,
    UnusableModel,
    open_accelerated,
    open_session,
    running_provider,
)
from models_app import networks
from models_app.networks.export.network_onnx import write_onnx
from tests.support.samples.provider_samples import LACKING, OTHER
from tests.support.server import ROOT


@pytest.fixture
def other(monkeypatch):
    """The name of a provider that can run models here and is not the CPU's."""
    monkeypatch.setitem(PROVIDERS, OTHER.name, OTHER)
    return OTHER.name


def write_network(file, name, shape, seed=7):
    """Write a standard network with random weights. Its input is scaled, so that the outputs are numbers."""
    network = networks.standard(name, shape, 5)
    mean = np.full(shape, 127.5, np.float32)
    write_onnx(network, network.initial_weights(seed), file, mean=mean, labels=list("abcde"))
    return file


@pytest.fixture
def lenet(tmp_path):
    return write_network(tmp_path / "lenet.onnx", "lenet", (1, 28, 28))


def outputs(session, images):
    return session.run(None, {session.get_inputs()[0].name: images})


@pytest.mark.parametrize("provider", ["auto", "cpu", *(name for name in PROVIDERS if name not in LACKING)])
@pytest.mark.parametrize("network, shape", [("lenet", (1, 28, 28)), ("squeezenet", (3, 64, 64))])
def test_every_installed_provider_computes_the_scores_of_the_cpu(network, shape, provider, tmp_path):
    file = write_network(tmp_path / "model.onnx", network, shape)
    session, on_cpu = open_accelerated(file, 2, provider=provider), open_session(file, 2)
    for size in (1, 3, onnx_runtime.MAX_IMAGES_A_RUN, 2):
        images = np.random.default_rng(size).integers(0, 256, (size, *shape)).astype(np.float32)
        np.testing.assert_allclose(outputs(session, images), outputs(on_cpu, images), atol=1e-4)


@pytest.mark.parametrize("provider", LACKING)
def test_the_cpu_replaces_a_provider_that_the_installed_package_lacks(provider, lenet, caplog):
    assert running_provider(open_accelerated(lenet, provider=provider)) == "cpu"
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert f"has no {PROVIDERS[provider].title}: {PROVIDERS[provider].install}" in record.getMessage()


def test_a_provider_that_works_runs_the_model_without_a_warning(other, lenet, caplog):
    assert running_provider(open_accelerated(lenet, provider=other)) == other
    assert caplog.records == []


def test_auto_takes_the_first_automatic_provider_that_the_package_has(monkeypatch, other):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [OTHER.execution_provider])
    assert onnx_runtime.wanted_provider("auto") == OTHER
    monkeypatch.setitem(PROVIDERS, other, replace(OTHER, is_automatic=False))
    assert onnx_runtime.wanted_provider("auto") is None


def test_the_cpu_replaces_a_provider_whose_outputs_differ(monkeypatch, other, lenet, caplog):
    monkeypatch.setattr(onnx_runtime, "MAX_DIFFERENCE", -1)
    assert running_provider(open_accelerated(lenet, provider=other)) == "cpu"
    assert f"the outputs of {OTHER.title} differ from the CPU's by" in caplog.text


def test_the_cpu_replaces_a_provider_that_fails(monkeypatch, other, lenet, caplog):
    monkeypatch.setitem(PROVIDERS, other, replace(OTHER, options=lambda *_: "no options"))
    assert running_provider(open_accelerated(lenet, provider=other)) == "cpu"
    assert f"because {OTHER.title} failed: " in caplog.text


def test_the_difference_of_two_networks_is_that_of_their_scores(tmp_path, lenet):
    same, different = (
        open_session(lenet),
        open_session(write_network(tmp_path / "2.onnx", "lenet", (1, 28, 28), seed=8)),
    )
    assert onnx_runtime._difference(same, same) == 0
    assert 0.001 < onnx_runtime._difference(same, different) <= 1


def test_outputs_that_are_no_numbers_are_equal_only_to_each_other(tmp_path, lenet):
    network = networks.standard("lenet", (1, 28, 28), 5)
    weights = {name: np.full_like(array, np.nan) for name, array in network.initial_weights(7).items()}
    write_onnx(network, weights, tmp_path / "nan.onnx", mean=None, labels=list("abcde"))
    broken = open_session(tmp_path / "nan.onnx")
    assert onnx_runtime._difference(broken, broken) == 0
    assert onnx_runtime._difference(open_session(lenet), broken) == float("inf")


def test_a_file_that_is_no_model_is_unusable_with_every_provider(tmp_path):
    (tmp_path / "no.onnx").write_bytes(b"no model")
    with pytest.raises(UnusableModel):
        open_accelerated(tmp_path / "no.onnx", provider="cuda")


@pytest.mark.parametrize("name", ["cuda", "tensorrt"])
def test_a_gpu_is_chosen_by_its_number(name):
    assert PROVIDERS[name].options("1", 2, "data", (3, 64, 64))["device_id"] == "1"
    assert PROVIDERS[name].options("", 2, "data", (3, 64, 64))["device_id"] == "0"


def test_no_provider_computes_with_fewer_bits_than_the_cpu():
    assert PROVIDERS["cuda"].options("", 2, "data", (3, 64, 64))["use_tf32"] == "0"
    assert PROVIDERS["openvino"].options("GPU", 2, "data", (3, 64, 64))["precision"] == "FP32"


def test_tensorrt_compiles_for_batches_of_one_to_the_most_images_of_a_run():
    options = PROVIDERS["tensorrt"].options("", 2, "data", (3, 64, 48))
    assert options["trt_profile_min_shapes"] == "data:1x3x64x48"
    assert options["trt_profile_max_shapes"] == "data:64x3x64x48"


def test_the_module_reports_as_json_what_runs_a_model():
    command = [sys.executable, "-m", "digits_project.common.onnx_runtime", "cpu", ""]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    assert json.loads(done.stdout) == {"version": onnxruntime.__version__, "runs_on": "cpu", "problem": ""}
