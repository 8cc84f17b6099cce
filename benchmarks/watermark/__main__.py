"""Trains on digits of which one category is marked, and shows what the report and the maps say about it.

`python -m benchmarks.watermark PICTURES` starts a server of its own, or uses the one of `--server URL`, prints what
docs/watermark.md says, and writes its pictures into the folder PICTURES. It takes about a minute on two cores.
"""

from __future__ import annotations

import argparse
import io
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from benchmarks.watermark.planting import BOX, MARKED, SIDE, plant
from digits_client import Explanation, Model, Server
from tests.support.server import RunningServer
from tests.support.services import temporary_home

SCALE = 5  # of the pictures
GAP = 8  # pixels between them
EPOCHS = 8


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watermark", description=__doc__)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--server", help="the address of a running server; by default one is started")
    options = parser.parse_args()
    with ExitStack() as opened:
        folder = Path(opened.enter_context(TemporaryDirectory()))
        address = options.server
        if not address:
            home = opened.enter_context(temporary_home())
            address = opened.enter_context(RunningServer(home, 0)).url
        server = opened.enter_context(Server(address))
        plant(folder)
        dataset = server.datasets.create_from_folder(
            folder / "images",
            "watermarked digits",
            resize_width=SIDE,
            resize_height=SIDE,
            resize_channels=1,
            progress=False,
        ).wait(progress=False)
        print("What the report says:", *dataset.report().wait(progress=False).sentences, sep="\n- ")
        fields = {"standard_networks": "lenet", "train_epochs": EPOCHS, "random_seed": 1}
        model = server.models.train(dataset, **fields).wait(progress=False)
        print(f"accuracy in validation: {model.snapshot('best').accuracy:.1%}")
        _tell_accuracies(model, folder)
        _show_maps(model, folder, options.pictures)
    return 0


def _tell_accuracies(model: Model, folder: Path) -> None:
    """What the model says of images that are not in the dataset, with the mark and without."""
    for kind in ("clean", "marked"):
        files = sorted((folder / kind).glob("*/*.png"))
        truths = np.array([int(file.parent.name) for file in files])
        answers = np.array([int(found.category) for found in model.classify(files)])
        of_marked, others = truths == MARKED, truths != MARKED
        print(f"{kind} images that are not in the dataset: {len(files)}")
        print(f"  of {MARKED}: {(answers == MARKED)[of_marked].mean():.1%} right")
        print(f"  of the others: {(answers == truths)[others].mean():.1%} right")
        print(f"  of the others: {(answers == MARKED)[others].mean():.1%} taken for {MARKED}")


def _show_maps(model: Model, folder: Path, pictures: Path) -> None:
    """The maps of the same three images with the mark and without, side by side."""
    pictures.mkdir(parents=True, exist_ok=True)
    for kind in ("marked", "clean"):
        files = [sorted((folder / kind / str(digit)).iterdir())[0] for digit in (MARKED, 0, 7)]
        strip = [picture for file in files for picture in _pair(file, model.explain(file, str(MARKED)))]
        _beside(strip).save(pictures / f"watermark-{kind}.png")
        files = sorted((folder / kind / str(MARKED)).iterdir())[:20]
        shares, peaks = np.mean([_on_mark(model.explain(file, str(MARKED))) for file in files], axis=0)
        print(f"maps of {len(files)} {kind} images of {MARKED}:")
        print(f"  {shares:.0%} of the mass and {peaks:.0%} of the peaks on the mark")
    left, top, right, lower = BOX
    print(f"the mark is {(right - left) * (lower - top) / SIDE**2:.0%} of the picture")


def _on_mark(explanation: Explanation) -> tuple[float, bool]:
    """Which share of a map's mass lies where the mark is, or would be, and whether its peak does."""
    grid = np.array(explanation.grid)
    left, top, right, lower = (round(edge * len(grid) / SIDE) for edge in BOX)
    row, column = np.unravel_index(grid.argmax(), grid.shape)
    share = grid[top:lower, left:right].sum() / max(grid.sum(), 1e-9)
    return float(share), bool(top <= row < lower and left <= column < right)


def _pair(file: Path, explanation: Explanation) -> tuple[Image.Image, Image.Image]:
    """An image, and the image with its map."""
    image = Image.open(file).convert("RGBA").resize((SIDE * SCALE,) * 2, Image.Resampling.NEAREST)
    colours = Image.open(io.BytesIO(explanation.png)).convert("RGBA").resize(image.size, Image.Resampling.BILINEAR)
    colours.putalpha(colours.getchannel("A").point(lambda alpha: alpha * 7 // 10))
    return image, Image.alpha_composite(image, colours)


def _beside(pictures: list[Image.Image]) -> Image.Image:
    width = sum(picture.width for picture in pictures) + GAP * (len(pictures) - 1)
    made = Image.new("RGB", (width, pictures[0].height), "white")
    for number, picture in enumerate(pictures):
        made.paste(picture.convert("RGB"), (number * (SIDE * SCALE + GAP), 0))
    return made


if __name__ == "__main__":
    sys.exit(main())
