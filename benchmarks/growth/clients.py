"""Growing numbers of clients that ask a whole server for classifications at the same time.

They belong to several accounts, because at most 400 requests of one account can wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.growth.curve import Curve
from benchmarks.load_client import Clients, load
from benchmarks.server_processes import mebibytes, processor_seconds, web_processes
from benchmarks.serving import requests_of, write_digits, write_photos, written_accounts, written_models
from tests.support.server import RunningServer
from tests.support.services import temporary_home

ACCOUNTS = 16
NUMBERS = (1, 8, 32, 128, 512)
# Rounds of each number: the smallest cost counts, because other work on the machine only adds to it.
ROUNDS = {"resnet18": 1, "lenet": 3}
SECONDS = 3.0
WARM_UP = 64  # clients


def curves() -> Iterator[Curve]:
    """The processor time of the web processes for a response, and their memory, for a large and a small network."""
    with ExitStack() as running:
        scratch = Path(running.enter_context(TemporaryDirectory()))
        home = running.enter_context(temporary_home())
        server = running.enter_context(RunningServer(home, 0, DIGITS_INFERENCE_RATE="0", DIGITS_AUTH="required"))
        models, tokens = written_models(server), written_accounts(server, ACCOUNTS)
        folders = {"resnet18": write_photos(scratch / "photos"), "lenet": write_digits(scratch / "digits")}
        processes = web_processes(server)
        for network, folder in folders.items():
            requests = requests_of(server, models[network]["job_id"], folder, tokens)
            load(server.url, requests, WARM_UP, SECONDS)  # the model is loaded, and all threads have run
            costs, memory = [], []
            for number in NUMBERS:
                clients = Clients(server.url, requests, number)
                costs.append((number, min(_milliseconds(clients, processes) for _ in range(ROUNDS[network]))))
                memory.append((number, max(map(mebibytes, processes))))
            yield Curve(f"classify_one, {network}", "ms of processor time", costs)
            yield Curve(f"a web process, {network}", "MiB", memory)


def _milliseconds(clients: Clients, processes: list[psutil.Process]) -> float:
    """The processor time that the web processes take for a response of these clients."""
    before = processor_seconds(processes)
    clients.images_per_second(SECONDS)
    return 1000 * (processor_seconds(processes) - before) / clients.loads[-1].responses
