"""Builds of databases from growing numbers of small images."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.building import DIGIT, watched_build
from benchmarks.growth.curve import Curve, each_further
from benchmarks.samples.pictures import write_numbered_digits

NUMBERS = (1_000, 10_000, 100_000)
LARGEST = 1_000_000
REPEATED = 10_000  # builds of at most so many images run REPEATS times; the shortest counts
REPEATS = 3
DIGESTS = "40 bytes for each image: its digest, until copies are found, and the place of its path"


def curves(largest: bool) -> Iterator[Curve]:
    """The processor time of each further image of a build, and the memory of its largest process."""
    costs, memory = [], []
    for number in (*NUMBERS, LARGEST) if largest else NUMBERS:
        with TemporaryDirectory() as scratch:
            folder = write_numbered_digits(Path(scratch, "images"), number)
            builds = [watched_build(folder, DIGIT) for _ in range(REPEATS if number <= REPEATED else 1)]
            shutil.rmtree(folder)
        costs.append((number, 1000 * min(build.processor_seconds for build in builds)))
        memory.append((number, min(build.mebibytes for build in builds)))
    yield Curve("build, each further image", "ms of processor time", each_further(costs))
    yield Curve("largest process of a build", "MiB", memory, grows=DIGESTS)
