"""Classify images with the model beside classify.py, as the server that trained it does.

It needs Python 3.10 or newer, NumPy, Pillow and ONNX Runtime: pip install numpy pillow onnxruntime
For HEIC files, those of iPhones, it needs one more package: pip install pi-heif
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from datasets.imagedb.images.decoding import read_array
from datasets.imagedb.images.formats import READABLE, BadImage
from inference.engine.heat import importance, overlaid
from inference.engine.predictor import Predictor, plain, ranked
from inference.engine.saliency import occlusion_map


def main(folder: Path) -> int:
    """Print the predictions of the folder's model for the images on the command line.

    Returns the exit status: 0, or 1 if an image could not be read.
    """
    arguments = _arguments()
    results, unsure, unreadable = {}, {}, 0
    model = _Model(folder)
    threshold = model.unsure_below if arguments.unsure_below is None else arguments.unsure_below
    wrong = [name for name in ("explain", "unsure_below") if getattr(arguments, name) is not None]
    if wrong and not model.categories:
        option = wrong[0].replace("_", "-")
        print(f"--{option} is for models with categories, and this one has none.", file=sys.stderr)
        return 2
    for name in arguments.images:
        try:
            results[name] = model.classify(name, arguments.top)
            if model.categories and threshold is not None:
                unsure[name] = model.confidence < threshold
            if arguments.explain:
                model.explain(name).save(arguments.explain / f"{Path(name).stem}-explained.png")
        except (BadImage, OSError) as fault:
            print(f"{name}: {getattr(fault, 'strerror', None) or fault}", file=sys.stderr)
            unreadable += 1
    found = {model.key: results} | ({"unsure": unsure} if unsure else {})
    _print(_as_json(found) if arguments.json or not model.categories else _as_text(results, unsure))
    return 1 if unreadable else 0


def _print(text: str) -> None:
    """Print to standard output, whose reader can close it early, as `head` does."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


class _Model:
    """The folder's model.onnx, labels.txt and info.json. `confidence` is that of the last answer, 0 to 1;
    `unsure_below` the threshold of a calibrated model.onnx, None for another one."""

    confidence = 0.0

    def __init__(self, folder: Path):
        info = json.loads((folder / "info.json").read_text(encoding="utf-8"))
        self._image, self.unsure_below = info["image"], info.get("unsure_below")
        labels = folder / "labels.txt"
        self.categories = labels.read_text(encoding="utf-8").split("\n")[:-1] if labels.exists() else []
        self.key = "classifications" if self.categories else "outputs"
        self._predictor = Predictor(folder / "model.onnx", threads=os.cpu_count())

    def classify(self, name: str, top: int) -> Any:
        """[[category, percent], …] of an image, or {layer: values} if the model has no categories."""
        pixels = self._read(name)[None]
        if self.categories:
            scores = self._scores(pixels)[0]
            self.confidence = float(scores.max())
            return ranked(scores, self.categories, top)
        return {layer: plain(values[0]) for layer, values in self._predictor.outputs(pixels).items()}

    def explain(self, name: str) -> Image.Image:
        """An image with the parts in colour that speak for its best category, as the network gets it."""
        pixels = self._read(name)
        best = int(self._scores(pixels[None])[0].argmax())
        return overlaid(pixels, importance(occlusion_map(self._scores, pixels, best)))

    def _read(self, name: str) -> np.ndarray:
        with Path(name).open("rb") as file:
            return read_array(file, **self._image)

    def _scores(self, pixels: np.ndarray) -> np.ndarray:
        return self._predictor.scores(pixels)[:, : len(self.categories)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", nargs="+", metavar="IMAGE", help=f"a {READABLE} file")
    parser.add_argument("--json", action="store_true", help="print the results as JSON, like the server's responses")
    parser.add_argument("--top", type=_positive, default=5, metavar="N", help="how many categories for each image (5)")
    parser.add_argument(
        "--unsure-below",
        type=_share,
        metavar="CONFIDENCE",
        help="say of each image whether the confidence of its best category is below this number from 0 to 1 (of a "
        "calibrated model: the threshold that the server has chosen)",
    )
    parser.add_argument(
        "--explain",
        type=_folder,
        metavar="FOLDER",
        help="write into FOLDER, for each image, a picture of the parts that speak for its best category; they are "
        "found by covering one part after the other",
    )
    return parser.parse_args()


def _folder(text: str) -> Path:
    if not Path(text).is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return Path(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 0 to 1")
    return share


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _as_json(found: dict[str, Any]) -> str:
    return json.dumps(found, indent=2, ensure_ascii=False)


def _as_text(results: dict[str, list[tuple[str, float]]], unsure: dict[str, bool]) -> str:
    lines = []
    for name, ranking in results.items():
        lines += [name, *(f"{percent:7.2f}%  {category}" for category, percent in ranking)]
        lines += ["  unsure, perhaps none of these"] if unsure.get(name) else []
    return "\n".join(lines)
