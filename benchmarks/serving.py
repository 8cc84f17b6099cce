"""classify_one of a whole server, by clients over HTTP, against bare loops that decode images and run ONNX Runtime."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from benchmarks import lists, litserve
from benchmarks.load_client import Clients, form, load
from benchmarks.loops.rounds import ROOT, Loop, alternate
from benchmarks.report import LeftOut, Row, against, at_most
from tests.support.server import RunningServer
from tests.support.services import temporary_home

PATH = "/models/images/classification/classify_one.json"
CLIENTS = 32
PHOTOS = 16
SECONDS = {"resnet18": 6.0, "lenet": 3.0}
SHAPES = {"resnet18": (3, 224), "lenet": (1, 28)}  # channels, size
MIN_RATE = 1500.0  # requests a second of LeNet


def rows(rounds: int) -> Iterator[Row | LeftOut]:
    """The rows of ResNet-18, whose network takes most of the time, and of LeNet, where all else does."""
    with ExitStack() as running:
        scratch = Path(running.enter_context(TemporaryDirectory()))
        home = running.enter_context(temporary_home())
        server = running.enter_context(RunningServer(home, 0, DIGITS_INFERENCE_RATE="0"))
        models = written_models(server)
        folders = {"resnet18": write_photos(scratch / "photos"), "lenet": write_digits(scratch / "digits")}

        def clients(network: str, number: int) -> Clients:
            requests = requests_of(server, models[network]["job_id"], folders[network])
            load(server.url, requests, CLIENTS, 1.0)  # the model is loaded, and all threads have run
            return Clients(server.url, requests, number)

        def bare(network: str, mode: str) -> Loop:
            numbers = map(str, SHAPES[network])
            command = ["benchmarks.loops.bare_onnx_loop", models[network]["onnx_file"], str(folders[network]), *numbers]
            return Loop([sys.executable, "-m", *command, mode], os.environ)

        yield from resnet_rows(clients, bare, rounds)
        title, model = f"classify_one resnet18 224, {_counted(CLIENTS)}", models["resnet18"]
        crowd, shape = clients("resnet18", CLIENTS), [str(number) for number in SHAPES["resnet18"]]
        onnx = [model["onnx_file"], *shape]
        yield from litserve.rows(title, crowd, onnx, folders["resnet18"], rounds, SECONDS["resnet18"])
        with bare("resnet18", "batched") as loop:
            yield from lists.rows(server, model["job_id"], folders["resnet18"], loop, rounds)
        yield from lenet_rows(clients, bare, rounds)


def resnet_rows(clients: Callable, bare: Callable, rounds: int) -> Iterator[Row]:
    for number, mode, anchor in ((1, "alone", "bare ONNX Runtime"), (CLIENTS, "batched", "the best bare loop")):
        ours = clients("resnet18", number)
        with bare("resnet18", mode) as loop:
            pairs = alternate(ours, loop, rounds, SECONDS["resnet18"])
        title = f"classify_one resnet18 224, {_counted(number)}"
        yield against(title, "images/s", anchor, pairs, 0.92)
        yield at_most(f"{title}, p95", "ms", [1000 * each.p95 for each in ours.loads], None)


def lenet_rows(clients: Callable, bare: Callable, rounds: int) -> Iterator[Row]:
    title = "classify_one lenet 28"
    alone = clients("lenet", 1)
    with bare("lenet", "alone") as loop:
        pairs = alternate(alone, loop, rounds, SECONDS["lenet"])
    overheads = [1000 / ours - 1000 / theirs for ours, theirs in pairs]
    yield at_most(f"{title}, overhead a request", "ms", overheads, 1.0)
    yield _at_least(f"{title}, 1 client", "images/s", [ours for ours, _ in pairs], MIN_RATE)
    crowd = clients("lenet", CLIENTS)
    rates = [crowd.images_per_second(SECONDS["lenet"]) for _ in range(rounds)]
    yield _at_least(f"{title}, {_counted(CLIENTS)}", "images/s", rates, MIN_RATE)
    share = [each.rate * each.client_cpu for each in crowd.loads]
    yield at_most("its clients themselves", "cores", share, None)


def _at_least(name: str, unit: str, figures: Sequence[float], goal: float) -> Row:
    return against(name, unit, f"{goal:,.0f}", [(figure, goal) for figure in figures], 1.0)


def _counted(clients: int) -> str:
    return "1 client" if clients == 1 else f"{clients} clients"


def written_models(server: RunningServer) -> dict[str, dict[str, str]]:
    """Write the models into the server's database; {network: {job_id, onnx_file}}."""
    return _written(server)


def written_accounts(server: RunningServer, count: int) -> list[str]:
    """Write so many accounts into the server's database; returns a token of each."""
    return _written(server, str(count))


def _written(server: RunningServer, *arguments: str):
    command = [sys.executable, "-m", "benchmarks.samples.serving_models", *arguments]
    return json.loads(
        subprocess.run(command, cwd=ROOT, env=server.command["env"], stdout=subprocess.PIPE, check=True).stdout
    )


def requests_of(server: RunningServer, job_id: str, folder: Path, tokens: Sequence[str] = ()) -> list[bytes]:
    """A request for each image of the folder; with tokens, for each image of each account."""
    host, images = server.url.split("/")[2], [path.read_bytes() for path in sorted(folder.iterdir())]
    logins = [[f"Authorization: Token {token}"] for token in tokens] or [[]]
    return [form(PATH, host, {"job_id": job_id}, image, login) for image in images for login in logins]


def write_photos(folder: Path) -> Path:
    """JPEG photos of 320 to 640 pixels a side: crops of scikit-learn's two photos."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    sources = load_sample_images().images
    for number in range(PHOTOS):
        source = sources[number % len(sources)]
        height, width = rng.integers(320, source.shape[0] + 1), rng.integers(320, source.shape[1] + 1)
        top, left = rng.integers(0, source.shape[0] - height + 1), rng.integers(0, source.shape[1] - width + 1)
        crop = source[top : top + height, left : left + width]
        Image.fromarray(crop).save(folder / f"{number:02}.jpg", quality=90)
    return folder


def write_digits(folder: Path) -> Path:
    """Small gray PNGs of noise."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(PHOTOS):
        file = io.BytesIO()
        Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8)).save(file, "PNG")
        (folder / f"{number:02}.png").write_bytes(file.getvalue())
    return folder
