import numpy as np
import pytest
from PIL import Image

from datasets.imagedb.images.resize import resize
from datasets.imagedb.spec import RESIZE_MODES
from tests.support.samples.imagedb_samples import PHOTOS, photo

LEFT, MIDDLE, RIGHT = 40, 120, 200


@pytest.fixture
def bands():
    """An image of 90×30 pixels: three vertical bands, each 30 pixels wide."""
    return Image.fromarray(np.repeat(np.array([[LEFT, MIDDLE, RIGHT]], np.uint8), 30, axis=1).repeat(30, axis=0))


def middle_row(image):
    return np.asarray(image)[image.height // 2]


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("size", [(256, 256), (100, 300), (300, 100), (1, 1), (641, 428), (7, 5)])
@pytest.mark.parametrize("name", PHOTOS)
def test_resizing_gives_the_exact_size_and_the_same_pixels_each_time(name, size, mode):
    image = Image.fromarray(photo(name))
    first, second = resize(image, *size, mode), resize(image, *size, mode)
    assert (first.size, first.mode) == (size, "RGB")
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("mode", RESIZE_MODES)
def test_an_image_of_the_target_size_is_unchanged(mode):
    image = Image.fromarray(photo("china.jpg"))
    assert resize(image, *image.size, mode).tobytes() == image.tobytes()


def test_squash_ignores_the_aspect_ratio(bands):
    assert middle_row(resize(bands, 30, 30, "squash"))[[5, 15, 25]].tolist() == [LEFT, MIDDLE, RIGHT]


def test_crop_keeps_only_the_centre(bands):
    assert set(middle_row(resize(bands, 20, 20, "crop"))[1:-1].tolist()) == {MIDDLE}


def test_fill_keeps_the_whole_image_on_black(bands):
    filled = np.asarray(resize(bands, 30, 30, "fill"))
    assert filled[15, [5, 15, 25]].tolist() == [LEFT, MIDDLE, RIGHT]
    assert (filled[:10] == 0).all()
    assert (filled[20:] == 0).all()
    assert (filled[10:20] > 0).all()


def test_half_crop_scales_halfway_between_crop_and_fill(bands):
    # Fill shrinks by 3 and crop by 1, so half_crop shrinks by 2: it fills 15 of 30 rows, and shows 60 of 90 columns.
    half = np.asarray(resize(bands, 30, 30, "half_crop"))
    assert ((half > 0).any(axis=1)).sum() == 15
    assert half[15, [2, 15, 27]].tolist() == [LEFT, MIDDLE, RIGHT]
    assert (half[15] == MIDDLE).sum() in range(13, 17)


def test_all_resize_modes_agree_on_an_image_with_the_target_aspect_ratio():
    image = Image.fromarray(photo("flower.jpg")).crop((0, 0, 400, 400))
    assert len({resize(image, 64, 64, mode).tobytes() for mode in RESIZE_MODES}) == 1


def test_shrinking_averages_the_pixels():
    checkers = Image.fromarray((np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8))
    small = np.asarray(resize(checkers, 8, 8, "squash")).astype(int)
    assert np.abs(small - 127).max() <= 2


@pytest.mark.parametrize("mode", RESIZE_MODES)
@pytest.mark.parametrize("size", [(65_000, 1), (1, 65_000), (3, 2)])
def test_extreme_aspect_ratios_are_resized_to_the_exact_size(mode, size):
    assert resize(Image.new("L", size, 9), 256, 200, mode).size == (256, 200)
