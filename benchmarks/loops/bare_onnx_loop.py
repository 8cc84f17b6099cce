"""Decodes photos and runs model.onnx with ONNX Runtime, without any server: alone, or in batches with decoding threads.

The arguments are model.onnx, a folder of images, channels, size, and `alone` or `batched`. `batched` tries several
batch sizes, with and without spinning threads, and keeps the fastest. Nothing of the product is imported.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import cycle, islice
from pathlib import Path

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime
from PIL import Image

from benchmarks.loops.rounds import serve

BATCHES = (4, 8, 16, 32)
TRIAL_SECONDS = 1.5
CORES = len(os.sched_getaffinity(0))


class Reader:
    """Decodes images to the network's input, as a script does that knows its images: no checks, no orientation."""

    def __init__(self, files: Sequence[Path], channels: int, size: int):
        self._files = [path.read_bytes() for path in files]
        self._mode, self._size = "L" if channels == 1 else "RGB", size

    def names(self) -> Iterator[bytes]:
        """The images' bytes, again and again."""
        return cycle(self._files)

    def read(self, content: bytes) -> np.ndarray:
        """float32 1×C×H×W."""
        image = Image.open(BytesIO(content)).convert(self._mode)
        pixels = np.asarray(image.resize((self._size, self._size), Image.Resampling.BILINEAR), dtype=np.float32)
        return np.ascontiguousarray(np.atleast_3d(pixels).transpose(2, 0, 1)[None])


def open_session(onnx_file: str, spins: bool, threads: int = CORES) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spins)))
    return onnxruntime.InferenceSession(onnx_file, options, providers=["CPUExecutionProvider"])


def alone(onnx_file: str, reader: Reader, spins: bool) -> Callable[[int], None]:
    """One image after another: decode it, run it, take the best five."""
    session = open_session(onnx_file, spins)
    source = session.get_inputs()[0].name
    names = reader.names()

    def run(images: int) -> None:
        for content in islice(names, images):
            np.argsort(-session.run(None, {source: reader.read(content)})[-1][0])[:5]

    return run


def batched(onnx_file: str, reader: Reader, spins: bool, size: int) -> Callable[[int], None]:
    """Batches of `size`; threads decode the next batch while one runs."""
    session = open_session(onnx_file, spins)
    source = session.get_inputs()[0].name
    names, pool = reader.names(), ThreadPoolExecutor(CORES)

    def run(images: int) -> None:
        ahead: list = []
        for _ in range(-(-images // size)):
            ahead = ahead or [pool.submit(reader.read, content) for content in islice(names, size)]
            batch = np.concatenate([future.result() for future in ahead])
            ahead = [pool.submit(reader.read, content) for content in islice(names, size)]
            np.argsort(-session.run(None, {source: batch})[-1], axis=1)[:, :5]
        for future in ahead:
            future.result()

    return run


def fastest(candidates: list[Callable[[int], None]]) -> Callable[[int], None]:
    """The candidate that does most images in TRIAL_SECONDS."""
    return max(candidates, key=_speed)


def _speed(run: Callable[[int], None]) -> float:
    run(max(BATCHES))
    images, began = 0, time.perf_counter()
    while time.perf_counter() - began < TRIAL_SECONDS:
        run(max(BATCHES))
        images += max(BATCHES)
    return images / (time.perf_counter() - began)


if __name__ == "__main__":
    onnx_file, folder, channels, size, mode = sys.argv[1:]
    reader = Reader(sorted(Path(folder).iterdir()), int(channels), int(size))
    candidates = [alone(onnx_file, reader, spins) for spins in (True, False)]
    if mode == "batched":
        candidates += [batched(onnx_file, reader, spins, batch) for spins in (True, False) for batch in BATCHES]
    run = fastest(candidates)
    step = max(BATCHES)
    serve(lambda steps: run(steps * step), step)
