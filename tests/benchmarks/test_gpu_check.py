"""`make gpu-check` on machines that lack what it checks: it says so, and what to do."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.engines.torch_environment import write_python
from tests.support.server import ROOT


def check(folder: Path, *options: str) -> subprocess.CompletedProcess:
    """Run it where the folder's nvidia-smi, if there is one, is the only program."""
    command = (sys.executable, "-m", "benchmarks.gpu", *options)
    variables = os.environ | {"PATH": str(folder)}
    return subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=120)


def write_gpus(folder: Path, *lines: str) -> None:
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\n" + "".join(f"echo '{line}'\n" for line in lines))
    program.chmod(0o755)


def test_a_machine_without_a_gpu_is_reported(tmp_path):
    done = check(tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[0] == "GPUs: none"
    assert "Nothing was checked: nvidia-smi finds no GPU here." in done.stdout


def test_gpus_that_no_engine_can_use_are_reported_with_the_reason_for_each_engine(tmp_path):
    write_gpus(tmp_path, "NVIDIA GeForce GTX 1080, 6.1", "NVIDIA GeForce GTX 970, 5.2")
    done = check(tmp_path, "--torch-python", write_python(tmp_path / "python"))
    assert done.returncode == 1
    heading, mxnet, torch, conclusion = done.stdout.splitlines()
    assert heading == "GPUs: NVIDIA GeForce GTX 1080, 6.1; NVIDIA GeForce GTX 970, 5.2"
    assert "MXNet 1.9.1 is installed without code for GPUs (pip install" in mxnet
    assert "this GPU has compute capability 6.1" in torch
    assert conclusion == "Nothing was checked: no engine can use this device."
