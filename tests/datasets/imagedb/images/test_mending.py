"""Damaged image files are kept with a remark if all their pixels are intact, and rejected if pixels are missing."""

import zlib

import numpy as np
import pytest
from PIL import Image

from datasets.imagedb import BadImage, build
from datasets.imagedb.images.decoding import Look, decode, highest_deep_sample
from tests.support.samples.imagedb_samples import ignore_progress, photo, spec_of, write_digits
from tests.support.samples.picture_samples import (
    GRAY,
    RGB,
    encode_image,
    image_of,
    png,
    png_chunk,
    random_samples,
    transparency_chunk,
)

MEGABYTES = bytes(3 << 20)
DAMAGED_CHUNKS = {
    "a profile of 3 MB": png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(MEGABYTES)),
    "a compressed text of 3 MB": png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(MEGABYTES)),
    "a compressed XMP of 3 MB": png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(MEGABYTES)),
    "texts of 100 MB": b"".join(png_chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(1 << 20))) for _ in range(100)),
    "a text of a wrong checksum": png_chunk(b"tEXt", b"Comment\0scanned", checksum=7),
    "a profile of a wrong checksum": png_chunk(b"iCCP", b"profile\0\0" + zlib.compress(b"x"), checksum=7),
    "a time of a wrong checksum": png_chunk(b"tIME", bytes(7), checksum=7),
    "gamma of a wrong checksum": png_chunk(b"gAMA", bytes(4), checksum=7),
}
COLOURS = random_samples(3)
PICTURE = Image.fromarray(photo("china.jpg")[:90, :150])
JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "optimized": {"optimize": True},
    "with restarts": {"restart_marker_blocks": 3},
    "gray": {"quality": 30},
}


def decode_with_remarks(payload):
    """The image, and the list of remarks about it."""
    remarks = []
    return decode(payload, look=Look(remark=remarks.append)), remarks


def jpeg(kind):
    return encode_image(PICTURE.convert("L" if kind == "gray" else "RGB"), "JPEG", **JPEGS[kind])


@pytest.mark.parametrize("kind", DAMAGED_CHUNKS)
def test_a_png_with_damaged_metadata_keeps_its_pixels(kind):
    image, remarks = decode_with_remarks(png(COLOURS, DAMAGED_CHUNKS[kind], colour=RGB, bits=8))
    np.testing.assert_array_equal(image, COLOURS)
    assert [remark.partition(" beside")[0] for remark in remarks] == ["a note"]


def test_damaged_png_metadata_after_the_pixels_is_ignored():
    payload = png(COLOURS, colour=RGB, bits=8)
    end = payload[-12:]
    for chunk in DAMAGED_CHUNKS.values():
        np.testing.assert_array_equal(decode(payload[:-12] + chunk + end), COLOURS)
    np.testing.assert_array_equal(decode(payload[:-12]), COLOURS)


def test_a_png_with_damaged_metadata_keeps_transparency_and_orientation():
    exif = Image.Exif()
    exif[0x0112] = 6
    samples = random_samples(3)
    samples[:4] = (1, 2, 3)
    chunks = (transparency_chunk(1, 2, 3), png_chunk(b"eXIf", exif.tobytes()[6:]), DAMAGED_CHUNKS["a profile of 3 MB"])
    image, _ = decode_with_remarks(png(samples, *chunks, colour=RGB, bits=8))
    samples[:4] = 255
    np.testing.assert_array_equal(image, np.rot90(samples, -1))


def test_the_highest_sample_of_a_png_with_damaged_metadata_is_found(tmp_path):
    samples = random_samples(1, 4096)
    (tmp_path / "x.png").write_bytes(png(samples, DAMAGED_CHUNKS["a text of a wrong checksum"], colour=GRAY))
    assert highest_deep_sample(tmp_path / "x.png") == samples.max()


def test_a_png_with_damaged_metadata_and_pixels_is_a_bad_image():
    payload = png(COLOURS, DAMAGED_CHUNKS["a text of a wrong checksum"], colour=RGB, bits=8)
    with pytest.raises(BadImage, match="damaged PNG"):
        decode(payload[: len(payload) * 2 // 3])


@pytest.mark.parametrize("ending", [b"", b"\xff", bytes(1000)], ids=["none", "half", "zeros"])
@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_without_its_end_marker_keeps_its_pixels(kind, ending):
    payload = jpeg(kind)
    assert payload.endswith(b"\xff\xd9")
    assert decode_with_remarks(payload)[1] == []
    image, remarks = decode_with_remarks(payload[:-2] + ending)
    np.testing.assert_array_equal(image, decode(payload))
    assert set(remarks) <= {"its last bytes, which mark its end, are missing, but every pixel is there"}


@pytest.mark.parametrize("cut", [4, 6, 20, 25, 26, 49, 50, 200])
@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_without_its_last_pixels_is_a_bad_image(kind, cut):
    with pytest.raises(BadImage, match="damaged JPEG"):
        decode(jpeg(kind)[:-cut])


def test_a_progressive_jpeg_that_ends_between_two_scans_is_a_bad_image():
    payload = jpeg("progressive")
    scans = [position for position in range(len(payload)) if payload[position : position + 2] == b"\xff\xda"]
    tables = [payload.rindex(b"\xff\xc4", 0, position) for position in scans[1:]]
    assert len(scans) > 5
    for position in (*scans[1:], *tables):
        with pytest.raises(BadImage, match="damaged JPEG"):
            decode(payload[:position])


def test_a_bitmap_without_the_padding_of_its_last_row_is_decoded():
    narrow_image = image_of(random_samples(3)[:, :5])  # 15 bytes a row, and one byte of padding
    payload = encode_image(narrow_image, "BMP")
    for cut in (1,):
        np.testing.assert_array_equal(decode(payload[:-cut]), narrow_image)
    for cut in (2, 3, 20):
        with pytest.raises(BadImage, match="damaged BMP"):
            decode(payload[:-cut])


def test_a_build_keeps_repaired_images_and_warns_once_for_each_kind(tmp_path):
    folder = write_digits(tmp_path / "images", {0: 4, 1: 4})
    for number in range(3):
        (folder / "0" / f"jpeg {number}.jpg").write_bytes(jpeg("baseline")[:-2])
        chunk = DAMAGED_CHUNKS["a text of a wrong checksum"]
        (folder / "1" / f"png {number}.png").write_bytes(png(COLOURS, chunk, colour=RGB, bits=8))
    built = build(spec_of(folder), tmp_path / "job", ignore_progress)
    assert built.skipped == 0
    assert sum(split.entries for split in built.splits) == 14
    assert sorted(warning[:20] for warning in built.warnings) == ["3 images were kept, "] * 2
    assert "kept " in (tmp_path / "job" / "build.log").read_text()
