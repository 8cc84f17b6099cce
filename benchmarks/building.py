"""Building speed of image databases, against bare loops of Pillow and OpenCV on all cores, and the memory of a build.

The loops decode, resize and encode in the same way and write one file. A build also searches the folders, finds
copies, splits, sums up the mean and writes an index, lists and a log. It runs in a fresh fork of this process, as it
does in the io worker. BENCH_PHOTOS names a folder of photos in one subfolder per category; without it they are
cut out of two photos of scikit-learn.

`python -m benchmarks.building --images 10000 --rounds 3` measures fewer images.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.loops import build_loop
from benchmarks.loops.build_loop import Setting, build_once
from benchmarks.loops.pillow_loop import encode_all
from benchmarks.loops.rounds import ANCHORS_PYTHON, ROOT, Loop
from benchmarks.report import HEADING, NO_ANCHORS, LeftOut, Row, against, at_most, line
from benchmarks.samples.pictures import write_digits, write_photos
from digits_project.common.resources import usable_cores

PHOTOS = os.environ.get("BENCH_PHOTOS", "")
PHOTO_COUNTS = (600, 3_000)
IMAGES = 100_000
FEWER = 10  # times fewer images, to see whether the memory grows
MAX_MEBIBYTES = 97  # of a process
PHOTO, DIGIT = Setting(256, "RGB", "jpg"), Setting(28, "L", "png")
CV2_LOOP = "benchmarks.loops.cv2_loop"  # it can't be imported here
CV2_GOALS = {"area": 1.0, "linear": 0.6}
_SAMPLE_SECONDS = 0.05


def rows(rounds: int, images: int = IMAGES) -> Iterator[Row | LeftOut]:
    """Rows for each number of photos, one for many small images, and two for the memory."""
    with tempfile.TemporaryDirectory() as made:
        for count in PHOTO_COUNTS:
            yield from _photo_rows(write_photos(Path(made, f"{count} photos"), count, PHOTOS), count, rounds)
        folder = write_digits(Path(made, "digits"), images)
        fewer = write_digits(Path(made, "fewer"), images // FEWER)
        title = f"build {images:,} images of {DIGIT.size}×{DIGIT.size}"
        most, before = (watched_build(each, DIGIT).mebibytes for each in (folder, fewer))
        yield against(title, "images/s", "Pillow", _alternate(_forked(folder, DIGIT), rounds), 0.8)
        yield at_most(f"{title}, memory of a process", "MiB", [most], MAX_MEBIBYTES)
        ratio = before / most
        yield Row(f"{title}, memory", "MiB", most, 0.9, (ratio, ratio), f"{images // FEWER:,}", before, ratio)


def _photo_rows(folder: Path, count: int, rounds: int) -> Iterator[Row | LeftOut]:
    title = f"build {count:,} photos, JPEG {PHOTO.size}"
    sides = _forked(folder, PHOTO)
    with ExitStack() as running:
        for resize in CV2_GOALS if ANCHORS_PYTHON else ():
            command = [ANCHORS_PYTHON, "-m", CV2_LOOP, str(folder), str(PHOTO.size), str(usable_cores()), resize]
            loop = running.enter_context(Loop(command, os.environ))
            sides.append(partial(loop.images_per_second, 0))  # one pass
        ours, pillow, *theirs = zip(*_alternate(sides, rounds), strict=True)
    yield against(title, "images/s", "Pillow", list(zip(ours, pillow, strict=True)), 0.9)
    for number, (resize, goal) in enumerate(CV2_GOALS.items()):
        anchor = f"cv2 {resize}"
        if theirs:
            yield against(title, "images/s", anchor, list(zip(ours, theirs[number], strict=True)), goal)
        else:
            yield LeftOut(f"{title}, against {anchor}", NO_ANCHORS)


def _forked(folder: Path, setting: Setting) -> list[Callable[[], float]]:
    """Our build and the loop of Pillow, each in a fork of this process; both return images per second."""
    paths = sorted(str(path) for path in folder.glob("*/*"))
    works = (partial(build_once, folder, setting), partial(_looped, paths, setting))
    return [partial(_speed, work, len(paths)) for work in works]


def _alternate(sides: Sequence[Callable[[], float]], rounds: int) -> list[tuple[float, ...]]:
    """The speeds of all sides in each round; who begins changes from round to round."""
    found = []
    for number in range(-1, rounds):  # the first one only brings the files into memory
        order = [(number + turn) % len(sides) for turn in range(len(sides))]
        speeds = {side: sides[side]() for side in order}
        found.append(tuple(speeds[side] for side in range(len(sides))))
    return found[1:]


def _looped(paths: list[str], setting: Setting) -> None:
    with tempfile.TemporaryDirectory() as directory:
        encode_all(paths, setting.size, setting.mode, setting.encoding, usable_cores(), Path(directory, "records"))


def _speed(work: Callable[[], None], images: int) -> float:
    """Images per second of a forked process."""
    context = multiprocessing.get_context("fork")
    near, far = context.Pipe(duplex=False)
    process = context.Process(target=_timed, args=(work, far))
    process.start()
    far.close()
    seconds = near.recv()
    process.join()
    return images / seconds


def _timed(work: Callable[[], None], connection: Connection) -> None:
    began = time.perf_counter()
    work()
    connection.send(time.perf_counter() - began)


class Watched(NamedTuple):
    """A build in a new interpreter: the most memory of one of its processes, its share of common pages included (PSS),
    and the processor time of all of them."""

    mebibytes: float
    processor_seconds: float


def watched_build(folder: Path, setting: Setting) -> Watched:
    command = [sys.executable, "-m", build_loop.__name__, folder, *map(str, setting)]
    most, before = 0, _of_children()
    with subprocess.Popen(command, cwd=ROOT) as process:
        while process.poll() is None:
            most = max([most, *_shares(process.pid)])
            time.sleep(_SAMPLE_SECONDS)
    if process.returncode:
        raise RuntimeError(f"the build ended with {process.returncode}")
    return Watched(most / (1 << 20), _of_children() - before)


def _of_children() -> float:
    """The processor seconds of all processes that this one has waited for, and of those that they have waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _shares(pid):
    try:
        parent = psutil.Process(pid)
        return [found.memory_full_info().pss for found in (parent, *parent.children())]
    except psutil.Error:  # one has just ended
        return []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=IMAGES, help=f"of {DIGIT.size}×{DIGIT.size} pixels")
    parser.add_argument("--rounds", type=int, default=5, help="of each row; the median counts")
    options = parser.parse_args()
    print(HEADING, flush=True)
    for row in rows(options.rounds, options.images):
        print(line(row), flush=True)


if __name__ == "__main__":
    main()
