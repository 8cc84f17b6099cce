import numpy as np
import pytest
from PIL import Image

from datasets.imagedb.images.resize import resize
from datasets.imagedb.spec import RESIZE_MODES
from tests.support.samples.imagedb_samples import PHOTOS, photo

LEFT, MIDDLE, RIGHT = 40, 120, 200


@pytest.fixture
def bands():
    """90x30: three bands side by side, each 30 wide."""
    return Image.fromarray(np.repeat(np.array([[LEFT, MIDDLE, RIGHT]], np.uint8), 30, axis=1).repeat(30, axis=0))


def columns(image):
    return np.asarray(image)[image.height // 2]


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("size", [(256, 256), (100, 300), (300, 100), (1, 1), (641, 428), (7, 5)])
@pytest.mark.parametrize("name", PHOTOS)
def test_the_size_is_exact_and_the_pixels_are_the_same_every_time(name, size, mode):
    image = Image.fromarray(photo(name))
    once, again = resize(image, *size, mode), resize(image, *size, mode)
    assert (once.size, once.mode) == (size, "RGB")
    assert once.tobytes() == again.tobytes()


@pytest.mark.parametrize("mode", RESIZE_MODES)
def test_an_image_that_has_the_size_is_not_touched(mode):
    image = Image.fromarray(photo("china.jpg"))
    assert resize(image, *image.size, mode).tobytes() == image.tobytes()


def test_squash_ignores_the_aspect_ratio(bands):
    assert columns(resize(bands, 30, 30, "squash"))[[5, 15, 25]].tolist() == [LEFT, MIDDLE, RIGHT]


def test_crop_keeps_the_centre_and_nothing_else(bands):
    assert set(columns(resize(bands, 20, 20, "crop"))[1:-1].tolist()) == {MIDDLE}


def test_fill_keeps_the_whole_image_on_black(bands):
    filled = np.asarray(resize(bands, 30, 30, "fill"))
    assert filled[15, [5, 15, 25]].tolist() == [LEFT, MIDDLE, RIGHT]
    assert (filled[:10] == 0).all()
    assert (filled[20:] == 0).all()
    assert (filled[10:20] > 0).all()


def test_half_crop_lies_between_crop_and_fill(bands):
    # 3 source pixels per target pixel would fill, 1 would crop; so 2: 15 rows of 30, and 60 of the 90 columns.
    half = np.asarray(resize(bands, 30, 30, "half_crop"))
    assert ((half > 0).any(axis=1)).sum() == 15
    assert half[15, [2, 15, 27]].tolist() == [LEFT, MIDDLE, RIGHT]
    assert (half[15] == MIDDLE).sum() in range(13, 17)


def test_an_image_of_the_same_shape_is_scaled_alike_by_all_modes():
    image = Image.fromarray(photo("flower.jpg")).crop((0, 0, 400, 400))
    assert len({resize(image, 64, 64, mode).tobytes() for mode in RESIZE_MODES}) == 1


def test_shrinking_averages_instead_of_picking():
    checkers = Image.fromarray((np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8))
    small = np.asarray(resize(checkers, 8, 8, "squash")).astype(int)
    assert np.abs(small - 127).max() <= 2


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("size", [(65_000, 1), (1, 65_000), (3, 2)])
def test_the_oddest_shapes_give_the_size_too(mode, size):
    assert resize(Image.new("L", size, 9), 256, 200, mode).size == (256, 200)
