"""Transparent images are blended with a background colour.

The expected pixels are computed with the formula of alpha blending; ImageMagick's `-background … -alpha remove` gives
the same.
"""

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


def alpha_channel_case(samples, max_sample, payload):
    """(payload, colours, alpha) of an image with an alpha channel."""
    return payload, samples[:, :, :-1] / max_sample, samples[:, :, -1:] / max_sample


def colour_key_case(samples, key, max_sample, payload):
    """(payload, colours, alpha) of an image in which one colour, the key, is transparent."""
    return payload, samples / max_sample, (samples != key).any(axis=2, keepdims=True)


def samples_with_key(channels, below, key):
    samples = random_samples(channels, below)
    samples[:3] = key
    samples[3] = np.array(key) ^ 1  # a neighbouring colour, which is opaque
    return samples


def palette_image(**options):
    """A PNG of 16 colours, the colour of each pixel, and its index in the palette."""
    picture = image_of(random_samples(3)).quantize(16)
    return encode_image(picture, **options), np.asarray(picture.convert("RGB")) / 255, np.asarray(picture)


def cases():
    """{name: (payload, colours, alpha)} of transparent images of many kinds."""
    rgba, gray_alpha = add_alpha(random_samples(3)), add_alpha(random_samples(1))
    rgba_16, gray_alpha_16 = add_alpha(random_samples(3, 65536), 65536), add_alpha(random_samples(1, 65536), 65536)
    named = {
        "RGBA": alpha_channel_case(rgba, 255, encode_image(image_of(rgba))),
        "LA": alpha_channel_case(gray_alpha, 255, encode_image(image_of(gray_alpha))),
        "WebP": alpha_channel_case(rgba, 255, encode_image(image_of(rgba), "WEBP", lossless=True, exact=True)),
        "RGBA of 16 bits": alpha_channel_case(rgba_16, 65535, png(rgba_16, colour=RGBA)),
        "LA of 16 bits": alpha_channel_case(gray_alpha_16, 65535, png(gray_alpha_16, colour=GRAY_ALPHA)),
    }
    for bits, key in ((1, 1), (2, 2), (4, 9), (8, 77), (16, 1000)):
        samples, max_sample = samples_with_key(1, 1 << bits, (key,)), (1 << bits) - 1
        payload = png(samples, transparency_chunk(key), colour=GRAY, bits=bits)
        named[f"a gray of {bits} bits"] = colour_key_case(samples, (key,), max_sample, payload)
    for bits, key in ((8, (10, 20, 30)), (16, (1000, 1001, 1002))):
        samples = samples_with_key(3, 1 << bits, key)
        payload = png(samples, transparency_chunk(*key), colour=RGB, bits=bits)
        named[f"a colour of {bits} bits"] = colour_key_case(samples, key, (1 << bits) - 1, payload)
    alphas = np.arange(0, 256, 17)
    payload, colours, index = palette_image(transparency=bytes(alphas.tolist()))
    named["a palette with alphas"] = payload, colours, alphas[index][:, :, None] / 255
    payload, colours, index = palette_image(transparency=3)
    named["a palette with one transparent entry"] = payload, colours, (index != 3)[:, :, None]
    return named


CASES = cases()


@pytest.mark.parametrize("background", BACKGROUNDS)
@pytest.mark.parametrize("kind", CASES)
def test_a_transparent_image_is_blended_with_the_background(kind, background):
    payload, colours, alpha = CASES[kind]
    pixels = read_array(payload, WIDTH, HEIGHT, 3, "squash", alpha_background=background)
    expected = composite(colours, alpha, BACKGROUNDS[background])
    assert np.abs(pixels - expected).max() <= 2


def test_the_default_background_is_white():
    invisible = encode_image(image_of(random_samples(4) * [1, 1, 1, 0]))
    assert (read_array(invisible, 8, 8, 3, "squash") == 255).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_gray_image_on_a_gray_background_stays_gray(channels):
    payload, colours, alpha = CASES["LA"]
    pixels = read_array(payload, WIDTH, HEIGHT, channels, "squash")
    assert np.abs(pixels - composite(colours, alpha, BACKGROUNDS["white"])).max() <= 1
    assert decode(payload).mode == "L"


@pytest.mark.parametrize("kind", ["RGBA", "LA", "WebP", "RGBA of 16 bits", "a colour of 8 bits", "a gray of 8 bits"])
def test_the_background_ignore_keeps_the_colours_of_transparent_pixels(kind):
    """Datasets built before alpha_background existed did this."""
    payload, colours, _ = CASES[kind]
    pixels = read_array(payload, WIDTH, HEIGHT, 3, "squash", alpha_background="ignore")
    assert np.abs(pixels - colours * 255).max() <= 1


def test_an_image_without_transparency_ignores_the_background():
    payload = encode_image(image_of(random_samples(3)))
    arrays = [read_array(payload, 9, 7, 3, "fill", alpha_background=name) for name in (*BACKGROUNDS, "ignore")]
    for array in arrays[1:]:
        np.testing.assert_array_equal(array, arrays[0])


def test_a_completely_transparent_image_gets_a_remark():
    remarks = []
    for payload in (
        encode_image(image_of(random_samples(4) * [1, 1, 1, 0])),
        CASES["RGBA"][0],
        encode_image(image_of(random_samples(3))),
    ):
        decode(payload, look=Look(remark=remarks.append))
    assert remarks == ["every pixel is transparent, so only the background is left"]


def write_drawings(folder):
    """Write black lines on a transparent background: twelve vertical and twelve horizontal ones."""
    for kind in ("down", "across"):
        (folder / kind).mkdir(parents=True)
        for position in range(12):
            samples = np.zeros((28, 28, 4), int)
            samples[(slice(2, 26), position + 8) if kind == "down" else (position + 8, slice(2, 26))] = (0, 0, 0, 255)
            image_of(samples).save(folder / kind / f"{position}.png")
    return folder


def read_records(directory):
    with RecordReader(directory / "train.rec") as reader:
        return [decode_record(reader[number][1]) for number in range(len(reader))]


@pytest.mark.parametrize("background, paper_value", [("white", 255), ("#404040", 0x40)])
def test_a_build_keeps_drawings_on_a_transparent_background_distinct(tmp_path, background, paper_value):
    spec = spec_of(write_drawings(tmp_path / "images"), width=28, height=28, alpha_background=background)
    built = build(spec, tmp_path / "job", ignore_progress)
    images = read_records(tmp_path / "job")
    assert len({picture.tobytes() for picture in images}) == len(images) == 18
    assert all(picture[0, 0, 0] == paper_value and picture.min() == 0 for picture in images)
    assert built.warnings == []


def test_a_build_counts_completely_transparent_images(tmp_path):
    built = build(
        spec_of(write_drawings(tmp_path / "images"), alpha_background="black"), tmp_path / "job", ignore_progress
    )
    assert built.warnings == []  # the drawings are black on black, but not transparent
    for position in range(3):
        image_of(np.zeros((28, 28, 4))).save(tmp_path / "images" / "down" / f"empty {position}.png")
    built = build(spec_of(tmp_path / "images"), tmp_path / "job", ignore_progress)
    assert built.skipped == 0
    assert [warning.split(" were kept")[0] for warning in built.warnings] == ["3 images"]
    assert "every pixel is transparent" in built.warnings[0]


@pytest.mark.parametrize("background", ["", "blue", "#fff", "#ff00ff00", "#gg0000", "WHITE"])
def test_an_invalid_background_is_bad_input(tmp_path, background):
    with pytest.raises(BadInput, match="The background must be white, black, #rrggbb or ignore"):
        spec_of(tmp_path, alpha_background=background)
