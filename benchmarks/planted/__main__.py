"""`python -m benchmarks.planted FOLDER [--images N]`: FOLDER holds one folder of images for each category."""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

from benchmarks.planted.planting import KINDS, Planted, plant
from datasets.imagedb import FolderSource, Spec, build
from datasets.report.findings import EXACT_COPIES, LABEL_ERRORS, NEAR_COPIES, read_findings
from datasets.report.making import ReportRequest, make_report
from datasets.report.vectors.feature_network import register
from models_app.training.features.report_network import NETWORK

EVERYTHING = 10**9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--size", type=int, default=32, help="the side of the dataset's images, in pixels")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    register(NETWORK)
    with tempfile.TemporaryDirectory() as folder:
        images, jobs = Path(folder, "images"), Path(folder, "dataset")
        planted = plant(asked.folder, images, asked.images, asked.seed)
        spec = Spec(FolderSource(images), width=asked.size, height=asked.size, workers=asked.threads)
        built = build(spec, jobs, lambda fraction: None)
        began = time.monotonic()
        shape = (asked.size, asked.size)
        request = ReportRequest(jobs, [split.name for split in built.splits], built.categories, shape, asked.threads)
        summary = make_report(request, jobs / "report", lambda fraction: None)
        seconds = time.monotonic() - began
        figures = {"seconds": round(seconds, 1), "peak_MiB": _peak()} | _judged(planted, jobs / "report")
        print(json.dumps(figures | {"summary": summary | {"categories": "…"}}, indent=1))


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


def _judged(planted: Planted, folder: Path) -> dict[str, float]:
    exact, near = (_pairs(folder, kind) for kind in (EXACT_COPIES, NEAR_COPIES))
    figures = {}
    for kind in KINDS:
        wanted = {frozenset(pair) for pair in planted.copies[kind]}
        figures[f"{kind}_found"] = len(wanted & (exact if kind == "exact" else exact | near)) / len(wanted)
    true = {frozenset(pair) for kind in KINDS for pair in planted.copies[kind]}
    figures["near_precision"] = len(near & true) / max(1, len(near))
    figures["exact_precision"] = len(exact & true) / max(1, len(exact))
    errors = [row["images"][0] for row in read_findings(folder, LABEL_ERRORS, 0, EVERYTHING)]
    named = {Path(image["path"]).name for image in errors}
    figures["wrong_found"] = len(named & planted.wrong) / len(planted.wrong)
    figures["wrong_precision"] = len(named & planted.wrong) / max(1, len(named))
    return {name: round(value, 3) for name, value in figures.items()}


def _pairs(folder: Path, kind: str) -> set[frozenset[str]]:
    """The pairs of images that are in one group."""
    found = set()
    for row in read_findings(folder, kind, 0, EVERYTHING):
        names = [Path(image["path"]).name for image in row["images"]]
        found |= {frozenset((one, other)) for one in names for other in names if one < other}
    return found


if __name__ == "__main__":
    main()
