"""Out of memory: the error reports the usage, the limit and what to try, measured with real limits on processes."""

import resource
import subprocess
import sys

import numpy as np
import pytest

from digits_project.common import resources
from digits_project.jobs.execution.runner import run
from digits_project.jobs.models import Device, Status
from models_app.models import TrainedModel
from tests.support.console import start_command
from tests.support.server import ROOT

LIMIT = 3 << 29  # 1.5 GiB: half of the memory that the first weights of WIDE need while they are initialised
WIDE = """
layer { name: "a" type: "InnerProduct" bottom: "data" top: "a" inner_product_param { num_output: 20000 } }
layer { name: "b" type: "InnerProduct" bottom: "a" top: "b"
  inner_product_param { num_output: 20000 weight_filler { type: "xavier" } } }
layer { name: "ip" type: "InnerProduct" bottom: "b" top: "ip" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" exclude { stage: "deploy" } }
"""
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}  # because each thread reserves address space


def limit_address_space():
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))


@pytest.mark.timeout(300)  # the command and its trainer start as new processes, which takes long on a busy machine
@pytest.mark.django_db(transaction=True)
def test_a_training_out_of_memory_reports_its_usage_and_what_to_try(built_dataset, cpu, tmp_path):
    network = tmp_path / "wide.prototxt"
    network.write_text(WIDE)
    process = start_command(
        "train_model", "wide", "--dataset", built_dataset.pk, "--method", "custom", "--custom-network", network,
        "--batch-size", 7, "--train-epochs", 1, "--here", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        variables=ONE_THREAD, preexec_fn=limit_address_space,
    )  # fmt: skip
    output = process.communicate()[1].decode()
    assert TrainedModel.objects.exists(), output
    model = TrainedModel.objects.get()
    assert model.status == Status.ERROR, output
    assert model.error.startswith("The training ran out of memory: it had taken 0.")
    assert "asked for 2.98 GiB more, and there are 1.5 GiB (the limit of the address space, ulimit -v)" in model.error
    assert "Take a smaller batch_size than 7 (batch_accumulation makes up for it), smaller images" in model.error
    assert "The training ran out of memory" in output
    assert not Device.objects.exclude(leased_to="").exists()


@pytest.mark.parametrize("size", [LIMIT, 2 * LIMIT])
def test_the_memory_limit_is_the_smallest_of_all_limits(size):
    script = "from digits_project.common import resources; print(resources.limit().size, resources.taken() > 1 << 20)"
    output = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (size, size)),
    ).stdout  # fmt: skip
    assert output.split() == [str(size), "True"]


def with_cause(error, cause=None):
    """The error as it is after `raise error from cause`."""
    try:
        raise error from cause
    except ValueError as caught:
        return caught


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(12, "Cannot allocate memory"),
        RuntimeError("Failed to allocate CPU Memory"),
        RuntimeError("can't start new thread"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : bad allocation"),
        ImportError("libmxnet.so: failed to map segment from shared object"),
        with_cause(ValueError("x"), MemoryError()),
    ],
    ids=lambda error: f"{type(error).__name__} {error}",
)
def test_out_of_memory_errors_of_all_libraries_are_recognised(error):
    assert resources.is_want_of_memory(error)


@pytest.mark.parametrize("error", [ValueError("x"), OSError(28, "No space left on device"), None])
def test_other_errors_are_not_out_of_memory_errors(error):
    assert not resources.is_want_of_memory(error)


@pytest.mark.django_db
def test_a_dataset_build_out_of_memory_reports_it(make_dataset):
    dataset = make_dataset()
    run(type(dataset), dataset.pk, lambda job, progress: np.empty(1 << 60, np.uint8))
    dataset.refresh_from_db()
    assert dataset.status == Status.ERROR
    assert dataset.error.startswith("This job ran out of memory: it had taken ")
    assert "asked for 1.00 EiB more" in dataset.error
