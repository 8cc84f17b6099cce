"""Images of 16 bits a channel are scaled by the bits that the images of their dataset use."""

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

TWELVE = 4095


def opaque(samples):
    alpha = np.full_like(samples[:, :, :1], 65535)
    return np.concatenate([samples, alpha], axis=2)


def netpbm(samples, most=65535):
    kind = 5 if samples.shape[2] == 1 else 6
    return b"P%d %d %d %d\n" % (kind, WIDTH, HEIGHT, most) + samples.astype(">u2").tobytes()


GRAYS, COLOURS = random_samples(1, TWELVE + 1), random_samples(3, TWELVE + 1)
UNDECLARED = {
    "gray PNG": (png(GRAYS, colour=GRAY), GRAYS),
    "colour PNG": (png(COLOURS, colour=RGB), COLOURS),
    "gray PNG with alpha": (png(opaque(GRAYS), colour=GRAY_ALPHA), GRAYS),
    "colour PNG with alpha": (png(opaque(COLOURS), colour=RGBA), COLOURS),
    "PGM": (netpbm(GRAYS), GRAYS),
    "PPM": (netpbm(COLOURS), COLOURS),
}
DECLARED = {"PGM": (netpbm(GRAYS, TWELVE), GRAYS), "PPM": (netpbm(COLOURS, TWELVE), COLOURS)}


@pytest.mark.parametrize("kind", UNDECLARED)
def test_twelve_bits_in_sixteen_fill_the_greys_once_the_white_level_says_so(kind):
    payload, samples = UNDECLARED[kind]
    found = read_array(payload, WIDTH, HEIGHT, 3, "squash", white_level=TWELVE)
    assert np.abs(found - samples * 255 / TWELVE).max() <= 1


@pytest.mark.parametrize("kind", UNDECLARED)
def test_without_a_white_level_the_high_byte_is_kept(kind):
    """As every dataset did that was built before there was one."""
    payload, samples = UNDECLARED[kind]
    found = read_array(payload, WIDTH, HEIGHT, 3, "squash")
    assert np.abs(found - np.broadcast_to(samples >> 8, found.shape)).max() <= 1


@pytest.mark.parametrize("white", [TWELVE, 65535, 255])
@pytest.mark.parametrize("kind", DECLARED)
def test_a_maximum_that_the_file_declares_comes_before_the_dataset_s(kind, white):
    payload, samples = DECLARED[kind]
    found = read_array(payload, WIDTH, HEIGHT, 3, "squash", white_level=white)
    assert np.abs(found - samples * 255 / TWELVE).max() <= 1


def test_what_is_above_the_white_level_is_white():
    samples = np.array([[[0], [TWELVE], [TWELVE + 1], [65535]]])
    assert read_array(png(samples), 4, 1, 1, "squash", white_level=TWELVE).ravel().tolist() == [0, 255, 255, 255]


def test_images_of_eight_bits_know_no_white_level():
    payload = encode_image(image_of(random_samples(3)))
    np.testing.assert_array_equal(
        read_array(payload, WIDTH, HEIGHT, 3, "squash", white_level=255),
        read_array(payload, WIDTH, HEIGHT, 3, "squash"),
    )


def test_scaling_and_blending_go_together():
    samples = add_alpha(COLOURS, 65536)
    found = read_array(png(samples, colour=RGBA), WIDTH, HEIGHT, 3, "squash", white_level=TWELVE)
    alpha = samples[:, :, 3:] / 65535
    assert np.abs(found - (COLOURS / TWELVE * 255 * alpha + 255 * (1 - alpha))).max() <= 2


def test_a_large_image_is_scaled_block_by_block():
    samples = np.random.default_rng(0).integers(0, TWELVE + 1, (1500, 2000, 3))
    found = np.asarray(decode(png(samples, colour=RGB)))
    np.testing.assert_array_equal(found, samples >> 8)
    scaled = read_array(png(samples, colour=RGB), 2000, 1500, 3, "squash", white_level=TWELVE)
    assert np.abs(scaled - samples * 255 / TWELVE).max() <= 1


@pytest.mark.parametrize("kind", UNDECLARED)
def test_the_highest_sample_is_found_and_alpha_is_none(tmp_path, kind):
    payload, samples = UNDECLARED[kind]
    (tmp_path / "image").write_bytes(payload)
    assert highest_deep_sample(tmp_path / "image") == samples.max()


@pytest.mark.parametrize(
    "payload",
    [encode_image(image_of(random_samples(3)), kind) for kind in ("PNG", "JPEG", "BMP", "PPM", "WEBP")]
    + [DECLARED["PGM"][0]],
)
def test_images_that_need_no_white_level_are_not_measured(tmp_path, payload):
    (tmp_path / "image").write_bytes(payload)
    assert highest_deep_sample(tmp_path / "image") is None


@pytest.mark.parametrize(
    "highest, white", [(0, 255), (255, 255), (256, 1023), (2010, 4095), (4095, 4095), (4096, 16383), (16384, 65535)]
)
def test_the_white_level_is_that_of_the_smallest_depth_that_holds_all(highest, white):
    assert white_level_for(highest) == white


def xrays(folder, most=TWELVE, count=8):
    """Grays around 1800 of 4095, half of them with a line."""
    rng = np.random.default_rng(0)
    for kind in ("plain", "line"):
        (folder / kind).mkdir(parents=True)
        for number in range(count):
            samples = rng.normal(most * 0.44, most * 0.006, (28, 28, 1))
            samples[number + 4, 4:24] += most * 0.03 * (kind == "line")
            (folder / kind / f"{number}.png").write_bytes(png(samples.clip(0, most).astype(int)))
    return folder


def built(folder, directory, **changes):
    """What was built, and all the greys that are stored for training."""
    found = build(spec_of(folder, width=28, height=28, **changes), directory, ignore_progress)
    with RecordReader(directory / "train.rec") as reader:
        return found, np.unique([decode_record(reader[number][1]) for number in range(len(reader))])


def test_xrays_of_twelve_bits_keep_their_greys_and_the_report_says_how(tmp_path):
    found, greys = built(xrays(tmp_path / "images"), tmp_path / "job")
    assert found.white_level == TWELVE
    assert len(greys) > 10
    assert len(found.warnings) == 1
    assert "16 images have 16 bits a channel, but none uses more than 12: 4095 becomes white" in found.warnings[0]
    assert found.warnings[0] in (tmp_path / "job" / "build.log").read_text()


def test_with_depth_full_they_keep_their_high_byte(tmp_path):
    found, greys = built(xrays(tmp_path / "images"), tmp_path / "job", depth="full")
    assert (found.white_level, found.warnings) == (65535, [])
    assert set(greys) <= {6, 7, 8}


def test_images_that_use_sixteen_bits_are_left_as_they_are(tmp_path):
    found, greys = built(xrays(tmp_path / "images", most=65535), tmp_path / "job")
    assert (found.white_level, found.warnings) == (65535, [])
    assert "use them all" in (tmp_path / "job" / "build.log").read_text()
    assert len(greys) > 10


def test_one_image_that_uses_more_is_said_to_keep_the_others_dark(tmp_path):
    folder = xrays(tmp_path / "images")
    (folder / "plain" / "odd.png").write_bytes(png(random_samples(1, 65536)))
    found, _ = built(folder, tmp_path / "job")
    assert found.white_level == 65535
    assert "16 of them use 12 or fewer: those stay dark" in found.warnings[0]


def test_a_folder_for_validation_is_measured_too(tmp_path):
    asked = spec_of(xrays(tmp_path / "train")).train
    brighter = spec_of(xrays(tmp_path / "val", most=16383)).train
    found, _ = built(tmp_path / "train", tmp_path / "job", train=asked, val=brighter)
    assert found.white_level == 16383


def test_damaged_images_do_not_stop_the_measuring(tmp_path):
    folder = xrays(tmp_path / "images")
    payload = (folder / "plain" / "0.png").read_bytes()
    (folder / "plain" / "cut.png").write_bytes(payload[: len(payload) // 2])
    found, _ = built(folder, tmp_path / "job")
    assert (found.white_level, found.skipped) == (TWELVE, 1)


def test_other_words_are_no_depth(tmp_path):
    with pytest.raises(BadInput, match="The depth must be one of auto, full, not deep"):
        spec_of(tmp_path, depth="deep")
