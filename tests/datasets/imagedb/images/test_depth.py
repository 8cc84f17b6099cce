"""Images of 16 bits a channel: the white level of a dataset scales them by the bits that its images really use."""

import numpy as np
import pytest

from datasets.imagedb import build
from datasets.imagedb.images.decoding import decode, decode_record, highest_deep_sample, read_array
from datasets.imagedb.images.depth import white_level_for
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
    encode_image,
    image_of,
    png,
    random_samples,
)

MAX_12_BITS = 4095


def add_opaque_alpha(samples):
    alpha = np.full_like(samples[:, :, :1], 65535)
    return np.concatenate([samples, alpha], axis=2)


def netpbm(samples, max_sample=65535):
    kind = 5 if samples.shape[2] == 1 else 6
    return b"P%d %d %d %d\n" % (kind, WIDTH, HEIGHT, max_sample) + samples.astype(">u2").tobytes()


GRAYS, COLOURS = random_samples(1, MAX_12_BITS + 1), random_samples(3, MAX_12_BITS + 1)
UNDECLARED = {
    "gray PNG": (png(GRAYS, colour=GRAY), GRAYS),
    "colour PNG": (png(COLOURS, colour=RGB), COLOURS),
    "gray PNG with alpha": (png(add_opaque_alpha(GRAYS), colour=GRAY_ALPHA), GRAYS),
    "colour PNG with alpha": (png(add_opaque_alpha(COLOURS), colour=RGBA), COLOURS),
    "PGM": (netpbm(GRAYS), GRAYS),
    "PPM": (netpbm(COLOURS), COLOURS),
}
DECLARED = {"PGM": (netpbm(GRAYS, MAX_12_BITS), GRAYS), "PPM": (netpbm(COLOURS, MAX_12_BITS), COLOURS)}


@pytest.mark.parametrize("kind", UNDECLARED)
def test_the_white_level_scales_12_bits_to_the_full_range(kind):
    payload, samples = UNDECLARED[kind]
    pixels = read_array(payload, WIDTH, HEIGHT, 3, "squash", white_level=MAX_12_BITS)
    assert np.abs(pixels - samples * 255 / MAX_12_BITS).max() <= 1


@pytest.mark.parametrize("kind", UNDECLARED)
def test_a_16_bit_image_keeps_its_high_byte_without_a_white_level(kind):
    """Datasets built before the white level existed did this."""
    payload, samples = UNDECLARED[kind]
    pixels = read_array(payload, WIDTH, HEIGHT, 3, "squash")
    assert np.abs(pixels - np.broadcast_to(samples >> 8, pixels.shape)).max() <= 1


@pytest.mark.parametrize("white_level", [MAX_12_BITS, 65535, 255])
@pytest.mark.parametrize("kind", DECLARED)
def test_the_maximum_declared_in_a_file_overrides_the_white_level(kind, white_level):
    payload, samples = DECLARED[kind]
    pixels = read_array(payload, WIDTH, HEIGHT, 3, "squash", white_level=white_level)
    assert np.abs(pixels - samples * 255 / MAX_12_BITS).max() <= 1


def test_samples_above_the_white_level_are_white():
    samples = np.array([[[0], [MAX_12_BITS], [MAX_12_BITS + 1], [65535]]])
    assert read_array(png(samples), 4, 1, 1, "squash", white_level=MAX_12_BITS).ravel().tolist() == [0, 255, 255, 255]


def test_8_bit_images_ignore_the_white_level():
    payload = encode_image(image_of(random_samples(3)))
    np.testing.assert_array_equal(
        read_array(payload, WIDTH, HEIGHT, 3, "squash", white_level=255),
        read_array(payload, WIDTH, HEIGHT, 3, "squash"),
    )


def test_a_16_bit_image_with_alpha_is_scaled_and_blended():
    samples = add_alpha(COLOURS, 65536)
    pixels = read_array(png(samples, colour=RGBA), WIDTH, HEIGHT, 3, "squash", white_level=MAX_12_BITS)
    alpha = samples[:, :, 3:] / 65535
    assert np.abs(pixels - (COLOURS / MAX_12_BITS * 255 * alpha + 255 * (1 - alpha))).max() <= 2


@pytest.mark.slow(2)
def test_a_large_16_bit_image_is_scaled_in_blocks():
    samples = np.random.default_rng(0).integers(0, MAX_12_BITS + 1, (1500, 2000, 3))
    payload = png(samples, colour=RGB)
    pixels = np.asarray(decode(payload))
    np.testing.assert_array_equal(pixels, samples >> 8)
    scaled = read_array(payload, 2000, 1500, 3, "squash", white_level=MAX_12_BITS)
    assert np.abs(scaled - samples * 255 / MAX_12_BITS).max() <= 1


@pytest.mark.parametrize("kind", UNDECLARED)
def test_the_highest_sample_of_a_16_bit_image_is_found_without_its_alpha(tmp_path, kind):
    payload, samples = UNDECLARED[kind]
    (tmp_path / "image").write_bytes(payload)
    assert highest_deep_sample(tmp_path / "image") == samples.max()


@pytest.mark.parametrize(
    "payload",
    [encode_image(image_of(random_samples(3)), kind) for kind in ("PNG", "JPEG", "BMP", "PPM", "WEBP")]
    + [DECLARED["PGM"][0]],
)
def test_the_highest_sample_is_none_for_images_that_need_no_white_level(tmp_path, payload):
    (tmp_path / "image").write_bytes(payload)
    assert highest_deep_sample(tmp_path / "image") is None


@pytest.mark.parametrize(
    "highest, white_level",
    [(0, 255), (255, 255), (256, 1023), (2010, 4095), (4095, 4095), (4096, 16383), (16384, 65535)],
)
def test_the_white_level_is_the_maximum_of_the_smallest_sufficient_depth(highest, white_level):
    assert white_level_for(highest) == white_level


def write_xrays(folder, max_sample=MAX_12_BITS, count=8):
    """Write gray images around 44 % of the maximum in two categories; those of one have a line."""
    rng = np.random.default_rng(0)
    for kind in ("plain", "line"):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            samples = rng.normal(max_sample * 0.44, max_sample * 0.006, (28, 28, 1))
            samples[number + 4, 4:24] += max_sample * 0.03 * (kind == "line")
            (folder / kind / f"{number}.png").write_bytes(png(samples.clip(0, max_sample).astype(int)))
    return folder


def build_images(folder, directory, **changes):
    """Build a dataset; return the result and all gray values that its train split stores."""
    built = build(spec_of(folder, width=28, height=28, **changes), directory, ignore_progress)
    with RecordReader(directory / "train.rec") as reader:
        return built, np.unique([decode_record(reader[number][1]) for number in range(len(reader))])


def test_a_build_scales_12_bit_images_and_reports_the_white_level(tmp_path):
    built, greys = build_images(write_xrays(tmp_path / "images"), tmp_path / "job")
    assert built.white_level == MAX_12_BITS
    assert len(greys) > 10
    assert len(built.warnings) == 1
    assert "16 images have 16 bits per channel, but none uses more than 12: 4095 becomes white" in built.warnings[0]
    assert built.warnings[0] in (tmp_path / "job" / "build.log").read_text()


def test_a_build_with_depth_full_keeps_the_high_byte(tmp_path):
    built, greys = build_images(write_xrays(tmp_path / "images"), tmp_path / "job", depth="full")
    assert (built.white_level, built.warnings) == (65535, [])
    assert set(greys) <= {6, 7, 8}


def test_a_build_keeps_images_that_use_16_bits(tmp_path):
    built, greys = build_images(write_xrays(tmp_path / "images", max_sample=65535), tmp_path / "job")
    assert (built.white_level, built.warnings) == (65535, [])
    assert "use all of them" in (tmp_path / "job" / "build.log").read_text()
    assert len(greys) > 10


def test_a_build_warns_if_one_16_bit_image_keeps_the_others_dark(tmp_path):
    folder = write_xrays(tmp_path / "images")
    (folder / "plain" / "odd.png").write_bytes(png(random_samples(1, 65536)))
    built, _ = build_images(folder, tmp_path / "job")
    assert built.white_level == 65535
    assert "16 of them use 12 or fewer: those stay dark" in built.warnings[0]


def test_the_white_level_covers_the_validation_folder(tmp_path):
    train = spec_of(write_xrays(tmp_path / "train")).train
    val = spec_of(write_xrays(tmp_path / "val", max_sample=16383)).train
    built, _ = build_images(tmp_path / "train", tmp_path / "job", train=train, val=val)
    assert built.white_level == 16383


def test_damaged_images_do_not_prevent_the_white_level(tmp_path):
    folder = write_xrays(tmp_path / "images")
    payload = (folder / "plain" / "0.png").read_bytes()
    (folder / "plain" / "cut.png").write_bytes(payload[: len(payload) // 2])
    built, _ = build_images(folder, tmp_path / "job")
    assert (built.white_level, built.skipped) == (MAX_12_BITS, 1)


def test_an_invalid_depth_is_bad_input(tmp_path):
    with pytest.raises(BadInput, match="The depth must be one of auto, full, not deep"):
        spec_of(tmp_path, depth="deep")
