"""`python -m benchmarks.planted.memory FOLDER N…`: the peak memory of a report on N images, each in a process of its
own. The images are random crops of those in FOLDER; the network sees them at 32 pixels, so that it takes less time."""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from datasets.imagedb.store.payloads import encode
from datasets.imagedb.store.records import RecordWriter
from datasets.report.making import ReportRequest, make_report
from datasets.report.vectors.feature_network import register
from models_app.training.features.report_network import NETWORK

SIDE = 32
SEEN = 32  # pixels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("images", type=int, nargs="+")
    asked = parser.parse_args()
    if len(asked.images) == 1:
        print(json.dumps(_measured(asked.folder, asked.images[0])), flush=True)
        return
    for images in asked.images:
        subprocess.run([sys.executable, "-m", "benchmarks.planted.memory", asked.folder, str(images)], check=True)


def _measured(folder: Path, images: int) -> dict[str, float]:
    register(replace(NETWORK, side=SEEN))
    with tempfile.TemporaryDirectory() as aside:
        categories = _write(folder, Path(aside), images)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        began = time.monotonic()
        request = ReportRequest(Path(aside), ["train"], categories, (SIDE, SIDE), threads=2)
        make_report(request, Path(aside, "report"), lambda fraction: None)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = round(time.monotonic() - began, 1)
        return {"images": images, "before_MiB": before >> 10, "peak_MiB": peak >> 10, "seconds": seconds}


def _write(folder: Path, target: Path, images: int) -> list[str]:
    """Write records of random crops; returns the names of the categories."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    categories = sorted({path.parent.name for path in files})
    random = np.random.default_rng(0)
    with RecordWriter(target / "train.rec") as writer:
        for _ in range(images):
            path = files[random.integers(len(files))]
            with Image.open(path) as image:
                left, top = random.integers(0, 12, 2)
                crop = image.convert("RGB").resize((SIDE, SIDE), box=(left, top, left + 20, top + 20))
            pixels = np.asarray(crop) + random.integers(0, 8, (SIDE, SIDE, 3), np.uint8)
            writer.write(categories.index(path.parent.name), encode(pixels.astype(np.uint8), "none"))
    return categories


if __name__ == "__main__":
    main()
