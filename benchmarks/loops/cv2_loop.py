"""Photos to records as MXNet's im2rec makes them, with OpenCV on all cores: `cv2_loop FOLDER SIZE WORKERS RESIZE`.

It decodes, resizes and encodes JPEG without chroma subsampling at quality 95, as imagedb does, and one process writes
RecordIO and its index. RESIZE is `area`, which averages all source pixels as imagedb's antialiased filter does, or
`linear`, OpenCV's plain resize, which reads four of them and so aliases. It runs in an environment with
requirements/anchors.txt.
"""

from __future__ import annotations

import multiprocessing
import struct
import sys
import tempfile
from functools import partial
from pathlib import Path

import cv2

from benchmarks.loops.rounds import serve

INTERPOLATIONS = {"area": cv2.INTER_AREA, "linear": cv2.INTER_LINEAR}
JPEG = (cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)
MAGIC = 0xCED7230A  # of a record of RecordIO
CHUNK = 32


def encode_all(files: list[tuple[str, int]], size: int, interpolation: int, workers: int, into: Path) -> None:
    """Write INTO.rec and INTO.idx from (path, label) of each image."""
    work = partial(encode, size=size, interpolation=interpolation)
    with (
        multiprocessing.get_context("fork").Pool(workers) as pool,
        into.with_suffix(".rec").open("wb") as records,
        into.with_suffix(".idx").open("w") as index,
    ):
        for number, payload in enumerate(pool.imap(work, [path for path, _ in files], CHUNK)):
            header = struct.pack("<IfQQ", 0, files[number][1], number, 0)
            length = len(header) + len(payload)
            index.write(f"{number}\t{records.tell()}\n")
            records.write(struct.pack("<II", MAGIC, length) + header + payload + bytes(-length % 4))


def encode(path: str, size: int, interpolation: int) -> bytes:
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    return cv2.imencode(".jpg", cv2.resize(image, (size, size), interpolation=interpolation), JPEG)[1].tobytes()


def main(folder: Path, size: int, workers: int, resize: str) -> None:
    cv2.setNumThreads(1)  # each worker has a core
    categories = sorted(folder.iterdir())
    files = [(str(path), label) for label, category in enumerate(categories) for path in sorted(category.iterdir())]

    def run(times: int) -> None:
        for _ in range(times):
            with tempfile.TemporaryDirectory() as directory:
                encode_all(files, size, INTERPOLATIONS[resize], workers, Path(directory, "photos"))

    serve(run, len(files), first_steps=1)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
