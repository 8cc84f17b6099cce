"""Transparent images are put onto a background colour. What is right is computed here by the formula of blending, which
ImageMagick's `-background … -alpha remove` follows too."""

import numpy as np
import pytest

from datasets.imagedb import build
from datasets.imagedb.images.decoding import Look, decode, decode_record, read_array
from datasets.imagedb.store.records import RecordReader
from digits_project.common.errors import BadInput
from tests.support.samples.imagedb_samples import ignore_progress, spec_of
from tests.support.samples.picture_samples import (
    GRAY,
    GRAY_ALPHA,
    HEIGHT,
    RGB,
    RGBA,
    WIDTH,
    add_alpha,
    composite,
    encode_image,
    image_of,
    png,
    random_samples,
    transparency_chunk,
)

BACKGROUNDS = {"white": (255, 255, 255), "black": (0, 0, 0), "#3080c0": (0x30, 0x80, 0xC0)}


def of_channel(samples, most, payload):
    return payload, samples[:, :, :-1] / most, samples[:, :, -1:] / most


def of_key(samples, key, most, payload):
    """Where one colour is transparent; it is in the picture's first rows."""
    return payload, samples / most, (samples != key).any(axis=2, keepdims=True)


def keyed(channels, below, key):
    samples = random_samples(channels, below)
    samples[:3] = key
    samples[3] = np.array(key) ^ 1  # its neighbour is opaque
    return samples


def palette(**options):
    """A picture of 16 colours, and which of them each pixel has."""
    picture = image_of(random_samples(3)).quantize(16)
    return encode_image(picture, **options), np.asarray(picture.convert("RGB")) / 255, np.asarray(picture)


def cases():
    rgba, gray_alpha = add_alpha(random_samples(3)), add_alpha(random_samples(1))
    deep, deep_gray = add_alpha(random_samples(3, 65536), 65536), add_alpha(random_samples(1, 65536), 65536)
    found = {
        "RGBA": of_channel(rgba, 255, encode_image(image_of(rgba))),
        "LA": of_channel(gray_alpha, 255, encode_image(image_of(gray_alpha))),
        "WebP": of_channel(rgba, 255, encode_image(image_of(rgba), "WEBP", lossless=True, exact=True)),
        "RGBA of 16 bits": of_channel(deep, 65535, png(deep, colour=RGBA)),
        "LA of 16 bits": of_channel(deep_gray, 65535, png(deep_gray, colour=GRAY_ALPHA)),
    }
    for bits, key in ((1, 1), (2, 2), (4, 9), (8, 77), (16, 1000)):
        samples, most = keyed(1, 1 << bits, (key,)), (1 << bits) - 1
        payload = png(samples, transparency_chunk(key), colour=GRAY, bits=bits)
        found[f"a gray of {bits} bits"] = of_key(samples, (key,), most, payload)
    for bits, key in ((8, (10, 20, 30)), (16, (1000, 1001, 1002))):
        samples = keyed(3, 1 << bits, key)
        payload = png(samples, transparency_chunk(*key), colour=RGB, bits=bits)
        found[f"a colour of {bits} bits"] = of_key(samples, key, (1 << bits) - 1, payload)
    alphas = np.arange(0, 256, 17)
    payload, colours, index = palette(transparency=bytes(alphas.tolist()))
    found["a palette with alphas"] = payload, colours, alphas[index][:, :, None] / 255
    payload, colours, index = palette(transparency=3)
    found["a palette with one transparent entry"] = payload, colours, (index != 3)[:, :, None]
    return found


CASES = cases()


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("kind", CASES)
def test_a_transparent_image_is_put_onto_the_background(kind, background):
    payload, colours, alpha = CASES[kind]
    found = read_array(payload, WIDTH, HEIGHT, 3, "squash", alpha_background=background)
    expected = composite(colours, alpha, BACKGROUNDS[background])
    assert np.abs(found - expected).max() <= 2


def test_the_background_is_white_unless_it_is_chosen():
    invisible = encode_image(image_of(random_samples(4) * [1, 1, 1, 0]))
    assert (read_array(invisible, 8, 8, 3, "squash") == 255).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_gray_on_gray_stays_gray(channels):
    payload, colours, alpha = CASES["LA"]
    found = read_array(payload, WIDTH, HEIGHT, channels, "squash")
    assert np.abs(found - composite(colours, alpha, BACKGROUNDS["white"])).max() <= 1
    assert decode(payload).mode == "L"


@pytest.mark.parametrize("kind", ["RGBA", "LA", "WebP", "RGBA of 16 bits", "a colour of 8 bits", "a gray of 8 bits"])
def test_ignore_keeps_the_colours_under_transparent_pixels(kind):
    """As every dataset did that was built before there was a background."""
    payload, colours, _ = CASES[kind]
    found = read_array(payload, WIDTH, HEIGHT, 3, "squash", alpha_background="ignore")
    assert np.abs(found - colours * 255).max() <= 1


def test_an_image_without_transparency_is_the_same_on_every_background():
    payload = encode_image(image_of(random_samples(3)))
    arrays = [read_array(payload, 9, 7, 3, "fill", alpha_background=name) for name in (*BACKGROUNDS, "ignore")]
    for array in arrays[1:]:
        np.testing.assert_array_equal(array, arrays[0])


def test_of_an_image_that_is_wholly_transparent_there_is_a_remark():
    remarks = []
    for payload in (
        encode_image(image_of(random_samples(4) * [1, 1, 1, 0])),
        CASES["RGBA"][0],
        encode_image(image_of(random_samples(3))),
    ):
        decode(payload, look=Look(remark=remarks.append))
    assert remarks == ["every pixel is transparent, so that only the background is left"]


def drawings(folder):
    """Black lines on transparent paper, one picture at a time of two kinds."""
    for kind in ("down", "across"):
        (folder / kind).mkdir(parents=True)
        for at in range(12):
            samples = np.zeros((28, 28, 4), int)
            samples[(slice(2, 26), at + 8) if kind == "down" else (at + 8, slice(2, 26))] = (0, 0, 0, 255)
            image_of(samples).save(folder / kind / f"{at}.png")
    return folder


def pictures(directory):
    with RecordReader(directory / "train.rec") as reader:
        return [decode_record(reader[number][1]) for number in range(len(reader))]


@pytest.mark.parametrize("background, paper", [("white", 255), ("#404040", 0x40)])
def test_drawings_on_transparent_paper_stay_different_pictures(tmp_path, background, paper):
    asked = spec_of(drawings(tmp_path / "images"), width=28, height=28, alpha_background=background)
    built = build(asked, tmp_path / "job", ignore_progress)
    stored = pictures(tmp_path / "job")
    assert len({picture.tobytes() for picture in stored}) == len(stored) == 18
    assert all(picture[0, 0, 0] == paper and picture.min() == 0 for picture in stored)
    assert built.warnings == []


def test_the_build_counts_images_of_which_nothing_is_left(tmp_path):
    built = build(spec_of(drawings(tmp_path / "images"), alpha_background="black"), tmp_path / "job", ignore_progress)
    assert built.warnings == []  # they are black on black, but not transparent
    for at in range(3):
        image_of(np.zeros((28, 28, 4))).save(tmp_path / "images" / "down" / f"empty {at}.png")
    built = build(spec_of(tmp_path / "images"), tmp_path / "job", ignore_progress)
    assert built.skipped == 0
    assert [warning.split(" were kept")[0] for warning in built.warnings] == ["3 images"]
    assert "every pixel is transparent" in built.warnings[0]


@pytest.mark.parametrize("background", ["", "blue", "#fff", "#ff00ff00", "#gg0000", "WHITE"])
def test_other_words_are_no_background(tmp_path, background):
    with pytest.raises(BadInput, match="The background must be white, black, #rrggbb or ignore"):
        spec_of(tmp_path, alpha_background=background)
