"""What a unit of work costs as the numbers grow: images of a build, jobs of a server, clients at the same time.

`make scale` draws the curves into docs/pictures and exits with 1 if one is not flat. `python -m benchmarks.scale --only
images --largest` builds from a million images, too. docs/scaling.md shows the charts.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.growth import clients, images, jobs
from benchmarks.growth.chart import draw
from benchmarks.growth.curve import Curve

PICTURES = Path(__file__).parents[1] / "docs/pictures"
TITLES = {
    "images": "Building a database of small images",
    "jobs": "A server with many jobs",
    "clients": "classify_one by many clients at the same time",
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=TITLES, help="one part")
    parser.add_argument("--largest", action="store_true", help=f"also a build of {images.LARGEST:,} images")
    parser.add_argument("--pictures", type=Path, default=PICTURES, metavar="FOLDER", help="for the charts")
    options = parser.parse_args()
    parts: dict[str, Callable[[], Iterator[Curve]]] = {
        "images": lambda: images.curves(options.largest),
        "jobs": jobs.curves,
        "clients": clients.curves,
    }
    met = True
    for part in [options.only] if options.only else parts:
        curves = []
        for curve in parts[part]():
            print(curve, flush=True)
            curves.append(curve)
        draw(TITLES[part], f"number of {part}", curves, options.pictures / f"scale-{part}.png")
        met = met and all(curve.met for curve in curves)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
