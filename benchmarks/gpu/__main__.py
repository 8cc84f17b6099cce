"""What the GPUs of this machine do for a training, in one table: `make gpu-check`.

Runs the tests of engines on the first GPU, then measures the steps of each engine that can use it, in fp32 and bf16,
with the same bits, and compiled; then whole trainings on one GPU and on two. A line says what was not there, and why.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks.loops.rounds import ROOT, Loop
from datasets.imagedb.store.payloads import encode
from datasets.imagedb.store.records import RecordWriter
from digits_project.common.resources import ComputeCapability
from models_app.networks import standard
from models_app.training.config import TrainConfig
from models_app.training.engines import ENGINES, registry
from models_app.training.process import parse_line
from models_app.training.pythons.launcher import trainer_command
from models_app.training.ranks.rendezvous import Rendezvous
from tests.support.engines.conformance import TESTS, conformance_files, run_conformance_tests

SECONDS = 5.0  # of a measurement
LIMIT_SECONDS = 600.0  # of a whole training, which takes a minute: ranks that can't reach each other wait long
NETWORKS = (("lenet", 28, 64, 1), ("resnet18", 64, 128, 3), ("resnet50", 224, 64, 3), ("mobilenet_v2", 224, 64, 3))
FP32, BF16 = {"precision": "fp32"}, {"precision": "bf16"}
WAYS = (
    ("mxnet", "fp32", FP32),
    ("torch", "fp32", FP32),
    ("torch", "bf16", BF16),
    ("torch", "bf16, deterministic", BF16 | {"deterministic": True}),
    ("torch", "bf16, compiled", BF16 | {"compile_network": True}),
)
SIDE, CATEGORIES = 64, 10  # of the whole trainings
IMAGES, EPOCHS = {"gpu": 4096, "cpu": 128}, {"gpu": 12, "cpu": 2}
LINE = "{:<34} {:<24} {:>14}"
Result = tuple[str, str, str]  # what, how, and the speed or why there is none


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--torch-python", default=str(ROOT / ".venv-torch/bin/python"), help="the Python with PyTorch")
    parser.add_argument("--device", default="gpu0", help="cpu tries the check itself")
    parser.add_argument("--only", action="append", choices=PARTS, help="only this part; can be repeated")
    options = parser.parse_args()
    registry.configure(pythons={"torch": options.torch_python})
    found = gpus()
    print("GPUs: " + ("; ".join(f"{name}, {registry.dotted(capability)}" for name, capability in found) or "none"))
    if options.device != "cpu" and not found:
        print("Nothing was checked: nvidia-smi finds no GPU here. --device cpu tries the check itself.")
        return 1
    missing = obstacles(None if options.device == "cpu" else found[0][1])
    for engine, reason in missing.items():
        print(LINE.format("left out", ENGINES[engine].title, reason), flush=True)
    if len(missing) == len(ENGINES):
        print("Nothing was checked: no engine can use this device.")
        return 1
    statuses = [PARTS[name](options.device, len(found), missing) for name in options.only or PARTS]
    return max(statuses)


def gpus() -> list[tuple[str, ComputeCapability]]:
    """Name and compute capability of each GPU."""
    command = ("nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader")
    try:
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []
    return [_described(*line.rsplit(",", 1)) for line in lines]


def _described(name: str, capability: str) -> tuple[str, ComputeCapability]:
    major, minor = capability.strip().split(".")
    return name.strip(), (int(major), int(minor))


def obstacles(capability: ComputeCapability | None) -> dict[str, str]:
    """Why engines can't use a GPU of this capability (None: the CPU); without those that can."""
    reasons = {name: engine.obstacle(capability) for name, engine in ENGINES.items()}
    return {name: reason for name, reason in reasons.items() if reason}


def conform(device: str, count: int, missing: Mapping[str, str]) -> int:
    """Run the tests of engines on a device with PyTorch, and print their verdict."""
    if "torch" in missing:
        return 0
    os.environ["TESTED_DEVICE"] = device
    files = conformance_files(TESTS / "training/engines", TESTS / "networks")
    finished = run_conformance_tests(ENGINES["torch"].python(), files)
    verdict = (finished.stdout.strip().splitlines() or ["no verdict"])[-1]
    print(LINE.format("tests of engines", f"torch, {device}", verdict), flush=True)
    if finished.returncode:
        print(finished.stdout, finished.stderr)
    return int(finished.returncode != 0)


def measure_steps(device: str, count: int, missing: Mapping[str, str]) -> int:
    """Print the speed of the steps of each network in each way."""
    return _printed(_steps(device, missing))


def _steps(device: str, missing: Mapping[str, str]) -> Iterator[Result]:
    for network, size, batch_size, channels in NETWORKS:
        for engine, title, fields in WAYS:
            if engine not in missing:
                numbers = map(str, (size, batch_size, channels))
                loop = ("-m", "benchmarks.loops.engine_loop", engine, network, *numbers, "train")
                command = [ENGINES[engine].python(), *loop, device, json.dumps(fields)]
                yield f"{network} {size}, batch {batch_size}", f"{engine} {title}", _speed(command)


def _speed(command: list[str]) -> str:
    try:
        with Loop(command, os.environ) as loop:
            return f"{loop.images_per_second(SECONDS):,.0f} images/s"
    except (OSError, RuntimeError):
        return "failed, see above"


def train(device: str, count: int, missing: Mapping[str, str]) -> int:
    """Print the speed of whole trainings with PyTorch on one device and on two."""
    return 0 if "torch" in missing else _printed(_trainings(device, count))


def _trainings(device: str, count: int) -> Iterator[Result]:
    what, two = f"resnet18 {SIDE}, whole training", ("cpu", "cpu1") if device == "cpu" else ("gpu0", "gpu1")
    yield what, f"torch, {device}", _training_speed((device,))
    is_there = device == "cpu" or count > 1
    yield what, f"torch, {', '.join(two)}", _training_speed(two) if is_there else "left out: there is one GPU"


def _training_speed(devices: tuple[str, ...]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        command = trainer_command(ENGINES["torch"].python(), str(_configured(Path(folder), devices)))
        try:
            finished = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=LIMIT_SECONDS)
        except subprocess.TimeoutExpired:
            return f"failed: it did not end within {LIMIT_SECONDS:g} s"
    events = [event for _, event in map(parse_line, finished.stdout.splitlines()) if event]
    if finished.returncode:
        print(finished.stderr.decode(errors="replace"))
        errors = [event["message"] for event in events if event["event"] == "error"]
        return f"failed: {errors[-1] if errors else f'exit status {finished.returncode}, see above'}"
    return f"{max(event.get('images_per_second', 0) for event in events):,.0f} images/s"


def _configured(folder: Path, devices: tuple[str, ...]) -> Path:
    """Random images in records, and the configuration of a training on them: with a rank for each device."""
    rng = np.random.default_rng(0)
    kind = devices[0][:3]
    with RecordWriter(folder / "train.rec") as records:
        for number in range(IMAGES[kind]):
            image = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            records.write(float(number % CATEGORIES), encode(image, "jpg"))
    (folder / "labels.txt").write_text("".join(f"{number}\n" for number in range(CATEGORIES)))
    network = standard("resnet18", (3, SIDE, SIDE), CATEGORIES).to_dict()
    paths = {"train_records": str(folder / "train.rec"), "labels_file": str(folder / "labels.txt")}
    meeting = Rendezvous(timeout=LIMIT_SECONDS / 2).to_dict() if len(devices) > 1 else None
    run = {"engine": "torch", "devices": devices, "epochs": EPOCHS[kind], "rendezvous": meeting}
    batch_size = min(128 * len(devices), IMAGES[kind] // 2)
    config = TrainConfig(
        network=network, directory=str(folder), use_mean="none", snapshot_interval=0, batch_size=batch_size,
        **paths, **run,
    )  # fmt: skip
    (folder / "config.json").write_text(config.to_json())
    return folder / "config.json"


def _printed(results: Iterator[Result]) -> int:
    """Print results as they come. Returns 1 if one failed, else 0."""
    status = 0
    for what, how, result in results:
        print(LINE.format(what, how, result), flush=True)
        status |= result.startswith("failed")
    return status


PARTS = {"tests": conform, "steps": measure_steps, "trainings": train}


if __name__ == "__main__":
    sys.exit(main())
