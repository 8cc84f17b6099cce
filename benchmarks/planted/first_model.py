"""`PYTHONPATH=client python -m benchmarks.planted.first_model FOLDER`: what a report costs the first model.

Each round starts a new server with reports and one without, creates a dataset of FOLDER and a model with the automatic
recipe on it, and prints the seconds from the first request to the end of the training.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from digits_client import Server
from tests.support.server import RunningServer
from tests.support.services import temporary_home

SIDE = 32  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=2)
    asked = parser.parse_args()
    for number in range(1, asked.rounds + 1):
        for reports in ("auto", "off"):
            print(f"round {number}, reports {reports}: {_seconds(asked.folder, reports):.1f} s", flush=True)


def _seconds(folder: Path, reports: str) -> float:
    """Seconds from the request for a dataset to a model that is Done."""
    fields = {"folder_train": str(folder.resolve()), "resize_width": SIDE, "resize_height": SIDE}
    with (
        temporary_home() as home,
        RunningServer(home, 0, DIGITS_DATASET_REPORTS=reports) as running,
        Server(running.url) as server,
    ):
        began = time.perf_counter()
        server.models.train(server.datasets.create("images", **fields)).wait(progress=False)
        return time.perf_counter() - began


if __name__ == "__main__":
    main()
