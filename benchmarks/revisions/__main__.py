"""How long a revision takes that leaves ten images out, against the build of its dataset.

`python -m benchmarks.revisions FOLDER [--images N]`: FOLDER holds one folder of images for each category. If there are
fewer than asked for, each is also written mirrored and turned. Both times include the digests of what was written.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import cycle, islice
from pathlib import Path

from PIL import Image, ImageOps

from datasets.imagedb import Built, Changes, FolderSource, RevisionSpec, Spec, build, revise
from digits_project.common.digests import sha256

LEFT_OUT = 10
AS_OTHERS: tuple[Callable[[Image.Image], Image.Image], ...] = (
    ImageOps.exif_transpose,
    ImageOps.mirror,
    ImageOps.flip,
    partial(Image.Image.rotate, angle=180),
)
SUFFIXES = (".rec", ".idx", ".npy", ".txt")  # of the files that have digests, as datasets.services has it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=32, help="the side of the dataset's images, in pixels")
    parser.add_argument("--encoding", default="png")
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        images = write_images(asked.folder, Path(made, "images"), asked.images)
        spec = Spec(FolderSource(images), width=asked.size, height=asked.size, encoding=asked.encoding)
        times: dict[str, list[float]] = {"build": [], "revision": []}
        for number in range(asked.rounds):
            dataset, revision = (Path(made, f"{name} {number}") for name in times)
            built, digests = timed(times["build"], dataset, lambda folder: build(spec, folder, _silent))
            changed = revision_of(dataset, built, digests)
            timed(times["revision"], revision, lambda folder, spec=changed: revise(spec, folder, _silent))
    seconds = {name: round(statistics.median(found), 3) for name, found in times.items()}
    print(json.dumps({"images": asked.images} | seconds | {"ratio": round(seconds["revision"] / seconds["build"], 3)}))


def write_images(source: Path, folder: Path, count: int) -> Path:
    """Write so many images, of all categories alike: those of `source`, and the same again as others."""
    of_categories = [sorted(path.iterdir()) for path in sorted(source.iterdir())]
    files = [path for paths in zip(*of_categories, strict=False) for path in paths]
    for number, path in enumerate(islice(cycle(files), count)):
        target = folder / path.parent.name / f"{number:06}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        with Image.open(path) as image:
            AS_OTHERS[number // len(files)](image).save(target, compress_level=1)
    return folder


def timed(times: list[float], folder: Path, make: Callable[[Path], Built]) -> tuple[Built, dict[str, str]]:
    """Time `make`, and the digests of the files that it writes."""
    began = time.monotonic()
    built = make(folder)
    digests = {path.name: sha256(path) for path in _digested(folder)}
    times.append(time.monotonic() - began)
    return built, digests


def revision_of(dataset: Path, built: Built, digests: dict[str, str]) -> RevisionSpec:
    """The revision of a dataset without images of all of its parts."""
    train = built.splits[0].entries
    changes = Changes(exclude=[f"train/{number * train // LEFT_OUT}" for number in range(LEFT_OUT)])
    return RevisionSpec(dataset, [split.name for split in built.splits], built.categories, changes, digests)


def _digested(folder: Path) -> Iterator[Path]:
    return (path for path in folder.iterdir() if path.suffix in SUFFIXES)


def _silent(fraction: float) -> None:
    """Report no progress."""


if __name__ == "__main__":
    main()
