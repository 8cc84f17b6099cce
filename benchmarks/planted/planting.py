"""Plants exact copies, near copies and wrong labels in a folder of images, and remembers where."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageEnhance

KINDS = ("exact", "jpeg", "crop", "darker")
SHARE_OF_A_KIND = 0.03  # of all images are copies of this kind
SHARE_WRONG = 0.05  # of all images get another category


@dataclass
class Planted:
    """copies: by kind, (name of the image, name of its copy). wrong: the names of images in a wrong folder."""

    copies: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    wrong: set[str] = field(default_factory=set)
    images: int = 0


def _jpeg(image: Image.Image) -> Image.Image:
    file = BytesIO()
    image.save(file, "JPEG", quality=50)
    return Image.open(BytesIO(file.getvalue())).convert(image.mode)


def _crop(image: Image.Image) -> Image.Image:
    width, height = (side * 0.95 for side in image.size)
    left, top = (random.uniform(0, side * 0.05) for side in image.size)  # nosec B311
    box = (left, top, left + width, top + height)
    return image.resize(image.size, Image.Resampling.BICUBIC, box=box)


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "exact": lambda image: image.copy(),
    "jpeg": _jpeg,
    "crop": _crop,
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.9),
}


def plant(source: Path, target: Path, count: int, seed: int = 0) -> Planted:
    """Write `count` images of the categories in `source` to `target`, planted ones among them."""
    random.seed(seed)
    files = sorted(path for path in source.rglob("*") if path.is_file())
    random.shuffle(files)
    planted = Planted(images=count)
    of_a_kind = round(SHARE_OF_A_KIND * count)
    originals = files[: count - of_a_kind * len(KINDS)]
    categories = sorted({path.parent.name for path in files})
    for name in categories:
        (target / name).mkdir(parents=True, exist_ok=True)
    wrong = set(random.sample(range(len(originals)), round(SHARE_WRONG * count)))  # nosec B311
    places = []
    for number, path in enumerate(originals):
        category = path.parent.name
        if number in wrong:
            category = random.choice([name for name in categories if name != category])  # nosec B311
        places.append(_write(target / category / f"{number:06}.png", Image.open(path).convert("RGB")))
        if number in wrong:
            planted.wrong.add(places[-1].name)
    chosen = random.sample([number for number in range(len(originals)) if number not in wrong], of_a_kind * len(KINDS))  # nosec B311
    for place, number in enumerate(chosen):
        kind = KINDS[place // of_a_kind]
        with Image.open(places[number]) as image:
            copy = _write(places[number].with_name(f"copy-{kind}-{number:06}.png"), CHANGES[kind](image))
        planted.copies.setdefault(kind, []).append((places[number].name, copy.name))
    return planted


def _write(path: Path, image: Image.Image) -> Path:
    image.save(path)
    return path
