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
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.loops.rounds import ROOT, Loop
from datasets.imagedb.store.payloads import encode
from datasets.imagedb.store.records import RecordWriter
from models_app.networks import standard
from models_app.training.config import TrainConfig
from models_app.training.engines import ENGINES
from models_app.training.pythons.launcher import trainer_command
from tests.support.engines.conformance import TESTS, conformance_files, run_conformance_tests

SECONDS = 5.0  # of a measurement
NETWORKS = (("lenet", 28, 64, 1), ("resnet18", 64, 128, 3), ("resnet50", 224, 64, 3), ("mobilenet_v2", 224, 64, 3))
FP32, BF16 = {"precision": "fp32"}, {"precision": "bf16"}
WAYS = (
    ("mxnet", "fp32", FP32),
    ("torch", "fp32", FP32),
    ("torch", "bf16", BF16),
    ("torch", "bf16, deterministic", BF16 | {"deterministic": True}),
    ("torch", "bf16, compiled", BF16 | {"compile_network": True}),
)
IMAGES, SIDE, CATEGORIES = 4096, 64, 10  # of the whole trainings
LINE = "{:<34} {:<24} {:>14}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--torch-python", default=str(ROOT / ".venv-torch/bin/python"), help="the Python with PyTorch")
    parser.add_argument("--device", default="gpu0", help="cpu tries the check itself")
    options = parser.parse_args()
    pythons = {"mxnet": sys.executable, "torch": options.torch_python}
    names = gpus()
    print("GPUs: " + ("; ".join(names) or "none, or nvidia-smi does not find them"), flush=True)
    if options.device != "cpu" and not names:
        return 1
    failed = not conforms(pythons["torch"], options.device)
    for what, how, result in (
        *steps(pythons, options.device),
        *trainings(pythons["torch"], options.device, len(names)),
    ):
        print(LINE.format(what, how, result), flush=True)
    return 1 if failed else 0


def gpus() -> list[str]:
    """Name and compute capability of each GPU."""
    command = ("nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader")
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().splitlines()
    except (OSError, subprocess.CalledProcessError):
        return []


def conforms(python: str, device: str) -> bool:
    """Run the tests of engines on a device, and print their verdict."""
    if not Path(python).exists():
        print(LINE.format("tests of engines", device, "left out: no PyTorch (make torch)"))
        return True
    os.environ["TESTED_DEVICE"] = device
    finished = run_conformance_tests(python, conformance_files(TESTS / "training/engines", TESTS / "networks"))
    print(LINE.format("tests of engines", device, finished.stdout.strip().splitlines()[-1]), flush=True)
    if finished.returncode:
        print(finished.stdout)
    return finished.returncode == 0


def steps(pythons: dict[str, str], device: str) -> Iterator[tuple[str, str, str]]:
    """The speed of the steps of each network in each way: (what, how, images a second or why not)."""
    for network, size, batch_size, channels in NETWORKS:
        for engine, title, fields in WAYS:
            numbers = map(str, (size, batch_size, channels))
            how = ("-m", "benchmarks.loops.engine_loop", engine, network, *numbers, "train", device, json.dumps(fields))
            yield f"{network} {size}, batch {batch_size}", f"{engine} {title}", _speed([pythons[engine], *how])


def _speed(command: list[str]) -> str:
    try:
        with Loop(command, os.environ) as loop:
            return f"{loop.images_per_second(SECONDS):,.0f} images/s"
    except (OSError, RuntimeError):
        return "not here (see above)"


def trainings(python: str, device: str, count: int) -> Iterator[tuple[str, str, str]]:
    """The speed of whole trainings with PyTorch on one GPU and on two: (what, how, images a second or why not)."""
    what = f"resnet18 {SIDE}, whole training"
    for devices in ((device,), ("gpu0", "gpu1")):
        how = f"torch, {', '.join(devices)}"
        if len(devices) > max(1, count):
            yield what, how, "left out: fewer than two GPUs"
        else:
            yield what, how, _training_speed(python, devices)


def _training_speed(python: str, devices: tuple[str, ...]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        config = _configured(Path(folder), devices)
        finished = subprocess.run(trainer_command(python, str(config)), cwd=ROOT, capture_output=True, text=True)
    events = [json.loads(line) for line in finished.stdout.splitlines()]
    speeds = [event["images_per_second"] for event in events if event["event"] == "progress"]
    if finished.returncode:
        return f"failed: {events[-1]['message'] if events else finished.stderr.strip().splitlines()[-1]}"
    return f"{max(speeds):,.0f} images/s"


def _configured(folder: Path, devices: tuple[str, ...]) -> Path:
    """Random images in records, and the configuration of a training on them."""
    rng = np.random.default_rng(0)
    with RecordWriter(folder / "train.rec") as records:
        for number in range(IMAGES):
            image = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
            records.write(float(number % CATEGORIES), encode(image, "jpg"))
    (folder / "labels.txt").write_text("".join(f"{number}\n" for number in range(CATEGORIES)))
    network = standard("resnet18", (3, SIDE, SIDE), CATEGORIES).to_dict()
    paths = {"train_records": str(folder / "train.rec"), "labels_file": str(folder / "labels.txt")}
    run = {"engine": ENGINES["torch"].name, "devices": devices, "epochs": 12, "batch_size": 128 * len(devices)}
    config = TrainConfig(network=network, directory=str(folder), use_mean="none", snapshot_interval=0, **paths, **run)
    (folder / "config.json").write_text(config.to_json())
    return folder / "config.json"


if __name__ == "__main__":
    sys.exit(main())
