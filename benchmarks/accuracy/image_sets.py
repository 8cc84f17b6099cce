"""The image sets of the accuracy benchmark, each as folders of training and validation images for one or more folds."""

from __future__ import annotations

import random
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL import Image
from sklearn.datasets import load_digits

FOLDS = 4
SEED = 0


@dataclass(frozen=True)
class Fold:
    """One way to divide a set: two folders with a subfolder for each category."""

    train: Path
    val: Path


@dataclass(frozen=True)
class ImageSet:
    """A set of images, and how a dataset of it is created.

    archive: the name of its file in the folder of the benchmark's data; "" if a package has the images.
    fields: of the form for a dataset.
    folds: a function that writes the folders of a number of folds below a folder.
    """

    name: str
    archive: str
    fields: dict[str, int | str]
    folds: Callable[[Path, Path, int], Iterator[Fold]]


def clothing(archive: Path, into: Path, folds: int) -> Iterator[Fold]:
    """Each fold has a quarter of the images of every category for validation."""
    _unpack(archive, into)
    yield from _divided(into / "clothing" / "train", into, folds)


def cifar(archive: Path, into: Path, folds: int) -> Iterator[Fold]:
    """The one division that the set comes with."""
    _unpack(archive, into)
    yield Fold(into / "cifar" / "train", into / "cifar" / "test")


def digits(archive: Path, into: Path, folds: int) -> Iterator[Fold]:
    """Scikit-learn's 1,797 digits of 8×8 pixels; each fold has a quarter for validation."""
    sample = load_digits()
    for number, (pixels, label) in enumerate(zip(sample.images, sample.target, strict=True)):
        path = into / "all" / str(label) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15.9375).astype("uint8")).save(path)
    yield from _divided(into / "all", into, folds)


def own_folder(folder: Path) -> ImageSet:
    """The set of a folder that has a subfolder of photos for each category."""
    fields: dict[str, int | str] = {"resize_width": 256, "resize_height": 256}
    return ImageSet(folder.name, "", fields, lambda _, into, folds: _divided(folder, into, folds))


def _unpack(archive: Path, into: Path) -> None:
    with tarfile.open(archive) as file:
        file.extractall(into, filter="data")


def _divided(source: Path, into: Path, folds: int) -> Iterator[Fold]:
    """Folds of a folder with a subfolder for each category: every image is in the validation of one of FOLDS."""
    for fold in range(folds):
        made = Fold(into / f"fold-{fold}" / "train", into / f"fold-{fold}" / "val")
        for category in sorted(path for path in source.iterdir() if path.is_dir()):
            files = sorted(category.iterdir())
            random.Random(SEED).shuffle(files)  # nosec B311 (no secret)
            for number, file in enumerate(files):
                target = (made.val if number % FOLDS == fold else made.train) / category.name / file.name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target)
        yield made


IMAGE_SETS = {
    found.name: found
    for found in (
        ImageSet("clothing", "clothing-small.tar", {"resize_width": 256, "resize_height": 256}, clothing),
        ImageSet("cifar", "cifar10-small.tar", {"resize_width": 32, "resize_height": 32}, cifar),
        ImageSet("digits", "", {"resize_width": 28, "resize_height": 28, "resize_channels": 1}, digits),
    )
}
