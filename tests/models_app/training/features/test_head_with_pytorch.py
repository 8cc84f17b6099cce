"""A head that is trained on features where only PyTorch is installed, by the trainer's own command."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from models_app.training.engines import AUTO
from models_app.training.engines.torch_declaration import TORCH
from tests.support.samples.training_samples import events_of_kind
from tests.support.server import ROOT


@pytest.mark.torch
@pytest.mark.trainer
@pytest.mark.slow(6)
def test_the_command_trains_a_head_on_features_in_the_python_of_pytorch(head_config):
    config = head_config(engine=AUTO)
    file = Path(config.directory) / "config.json"
    file.parent.mkdir()
    file.write_text(config.to_json())
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [TORCH.python(), "-X", "importtime", "-m", "models_app.training", file]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "torch._C" in done.stderr
    assert "torch._inductor" not in done.stderr  # PyTorch's compiler, which takes as long to import as all the rest
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["computed"] for event in events_of_kind(events, "features")] == [True, True]
    assert [event["engine"].partition("+")[0] for event in events_of_kind(events, "started")] == [
        f"torch {TORCH.version()}"
    ]
