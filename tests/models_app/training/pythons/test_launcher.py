"""The launcher of trainers: a trainer ends with its parent from its first moments on."""

import json
import os
import subprocess
import sys

import psutil

from models_app.training.pythons import launcher
from models_app.training.pythons.launcher import TRAINER, trainer_command
from tests.support.server import await_exit

STOPPED = 3  # the exit status
PARENT = """
import subprocess, sys
from models_app.training.pythons.launcher import trainer_command
trainer = subprocess.Popen(trainer_command(sys.executable, "config.json"))
print(trainer.pid, flush=True)
sys.stdin.read()
"""
ENDLESS_IMPORT = """
import sys, time
print("importing", file=sys.stderr, flush=True)
time.sleep(600)
"""


def run(command, folder):
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def test_a_trainer_that_still_imports_dies_with_its_parent(tmp_path):
    """Its import of NumPy never ends."""
    (tmp_path / "numpy.py").write_text(ENDLESS_IMPORT)
    variables = os.environ | {"PYTHONPATH": str(tmp_path)}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen([sys.executable, "-c", PARENT], env=variables, text=True, **pipes) as parent:
        trainer = psutil.Process(int(parent.stdout.readline()))
        assert parent.stderr.readline() == "importing\n"
        parent.kill()
        await_exit([trainer])


def test_a_trainer_whose_parent_has_already_ended_exits_before_its_imports(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    done = run([sys.executable, launcher.__file__, "--parent", str(ended.pid), TRAINER, "config.json"], tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (STOPPED, "", "")


def test_a_script_that_starts_the_python_as_its_child_is_reported_with_what_to_do(tmp_path):
    script = tmp_path / "python"
    script.write_text(f'#!/bin/sh\n{sys.executable} "$@"\nexit $?\n')
    script.chmod(0o755)
    done = run(trainer_command(str(script), "config.json"), tmp_path)
    event = json.loads(done.stdout)
    assert (done.returncode, event["event"], event["blame"]) == (1, "error", "host")
    assert "If DIGITS_TORCH_PYTHON names a script, let it start the Python with exec" in event["message"]
