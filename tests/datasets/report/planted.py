"""A folder of tiles of photos with planted faults: copies, wrong labels, a blank and a dark tile."""

from importlib import util
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TILE = 64
PHOTOS = ("astronaut", "chelsea", "coffee")  # the categories
TILES = 24  # of each photo
WRONG = ("astronaut-05.png", "chelsea-07.png", "coffee-09.png")  # each lies in the folder of another category
has_photos = util.find_spec("skimage") is not None
needs_photos = pytest.mark.skipif(not has_photos, reason="the photos come with scikit-image, which is not installed")


def write_planted(folder: Path) -> Path:
    """Write the tiles, one folder for each photo."""
    for number, name in enumerate(PHOTOS):
        (folder / name).mkdir(exist_ok=True)
        for tile, pixels in enumerate(_tiles(name)):
            file = f"{name}-{tile:02}.png"
            shown = PHOTOS[(number + 1) % len(PHOTOS)] if file in WRONG else name
            (folder / shown).mkdir(exist_ok=True)
            Image.fromarray(pixels).save(folder / shown / file)
    _copy(folder, "chelsea-03.png", "chelsea/copy-exact.png")
    _copy(folder, "coffee-04.png", "astronaut/copy-conflict.png")
    with Image.open(folder / "astronaut/astronaut-11.png") as tile:
        tile.save(folder / "astronaut/copy-jpeg.jpg", quality=50)
    with Image.open(folder / "coffee/coffee-12.png") as tile:
        tile.point(lambda value: round(value * 0.9)).save(folder / "coffee/copy-darker.png")
    Image.fromarray(_whole("rocket.jpg")[300:316, 300:316]).save(folder / "coffee/tiny.png")
    Image.fromarray(_whole("rocket.jpg")[200:230, :200]).save(folder / "coffee/wide.png")
    Image.new("RGB", (TILE, TILE), (90, 90, 90)).save(folder / "coffee/blank.png")
    with Image.open(folder / "chelsea/chelsea-00.png") as tile:
        dark = tile.point(lambda value: value // 6)
    dark.save(folder / "chelsea/chelsea-00.png")
    return folder


def _copy(folder: Path, file: str, copy: str) -> None:
    (folder / copy).write_bytes((folder / file.split("-")[0] / file).read_bytes())


def _tiles(name: str) -> list[np.ndarray]:
    """Tiles of a photo that overlap nowhere, from its middle, where there is most to see."""
    photo = _whole(f"{name}.png")
    rows, columns = (side // TILE for side in photo.shape[:2])
    places = [(row * TILE, column * TILE) for row in range(rows) for column in range(columns)]
    tiles = [photo[top : top + TILE, left : left + TILE] for top, left in places]
    return sorted(tiles, key=lambda tile: -tile.std())[:TILES]


def _whole(file: str) -> np.ndarray:
    path = Path(next(iter(util.find_spec("skimage").submodule_search_locations)), "data", file)
    return np.asarray(Image.open(BytesIO(path.read_bytes())).convert("RGB"))
