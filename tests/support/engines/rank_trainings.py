"""Trainings with several ranks of PyTorch on the CPU, each a trainer in PyTorch's Python."""

import json
import os
import subprocess
import time
from pathlib import Path

import psutil

from models_app.networks import Layer
from models_app.training.config import TrainConfig
from models_app.training.engines import ENGINES
from models_app.training.pythons.launcher import trainer_command
from models_app.training.ranks.rendezvous import Rendezvous
from tests.support.samples.network_samples import network
from tests.support.samples.training_samples import LABELLED_PHASES, config_of

SECONDS = 100  # for a trainer to load PyTorch on a busy machine


def normalized_network(bias_term=True):
    """A convolution whose BatchNorm has to measure the whole batch, and nothing that draws random numbers.

    The gradient of the convolution's bias would be 0 but for rounding, because the BatchNorm subtracts that bias."""
    xavier = {"weight_filler": {"type": "xavier"}}
    convolution = {"num_output": 8, "kernel_size": 3, "bias_term": bias_term, **xavier}
    return network(
        Layer("scale", "Power", ("data",), ("scaled",), {"scale": 0.01}),
        Layer("conv", "Convolution", ("scaled",), ("conv",), convolution),
        Layer("norm", "BatchNorm", ("conv",), ("norm",)),
        Layer("gain", "Scale", ("norm",), ("gain",), {"bias_term": True}),
        Layer("relu", "ReLU", ("gain",), ("gain",)),
        Layer("ip", "InnerProduct", ("gain",), ("ip",), {"num_output": 10, **xavier}),
        Layer("loss", "SoftmaxWithLoss", ("ip", "label"), ("loss",), phases=LABELLED_PHASES),
        Layer("softmax", "Softmax", ("ip",), ("softmax",), phases=("deploy",)),
        input_shape=(1, 8, 8),
    )


def rank_config(dataset: Path, directory: Path, ranks: int, meeting: Rendezvous | None = None, **fields) -> TrainConfig:
    """The configuration of a training of normalized_network() with so many ranks on this host."""
    meeting = meeting or (Rendezvous(timeout=SECONDS) if ranks > 1 else None)
    devices = ["cpu", *(f"cpu{number}" for number in range(1, ranks))]
    usual = {"network": normalized_network().to_dict(), "engine": "torch", "learning_rate": 0.05, "devices": devices}
    usual["rendezvous"] = meeting.to_dict() if meeting else None
    return config_of(dataset, directory, **(usual | fields))


class RankTraining:
    """A running trainer. `output` is the file of its events, `log` that of its text."""

    def __init__(self, config: TrainConfig, name: str = "config"):
        self.directory = Path(config.directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        path = self.directory / f"{name}.json"
        path.write_text(config.to_json(), encoding="utf-8")
        self.output, self.log = path.with_suffix(".events"), path.with_suffix(".log")
        with self.output.open("wb") as output, self.log.open("wb") as log:
            command = trainer_command(ENGINES["torch"].python(), str(path))
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            self.process = subprocess.Popen(command, stdout=output, stderr=log, env=environment)

    def events(self) -> list[dict]:
        """The events so far."""
        whole = self.output.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def wait(self) -> int:
        """Wait for its end; returns the exit status."""
        return self.process.wait(SECONDS)

    def await_event(self, kind: str) -> dict:
        """Wait for the first event of this kind."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            if found := [event for event in self.events() if event["event"] == kind]:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"no event {kind}: {self.events()}, {self.log.read_text()}")

    def ranks(self) -> list[psutil.Process]:
        """The processes of its ranks, in their order."""
        return sorted(psutil.Process(self.process.pid).children(), key=lambda rank: rank.environ().get("RANK"))

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
