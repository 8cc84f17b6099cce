"""TIFF files: many kinds are decoded to their pixels, the others are rejected with a reason."""

import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from datasets.imagedb import BadImage, build
from datasets.imagedb.images.decoding import Look, decode, highest_deep_sample, read_array, to_array
from tests.support.samples.heic_samples import expected_alpha, expected_pixels
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits
from tests.support.samples.picture_samples import composite, encode_image, image_of
from tests.support.samples.tiff_samples import HEIGHT, WIDTH, raw_bytes, tags, tiff

COLOURS, ALPHA = expected_pixels(), expected_alpha()
GRAY = COLOURS[:, :, :1]
MAX_12_BITS = 4095
PLANES = COLOURS.transpose(2, 0, 1)
PICTURE = Image.fromarray(COLOURS.astype(np.uint8))


def pack_12_bits(samples):
    """Samples of 12 bits, packed as two in three bytes."""
    pairs = samples.reshape(-1, 2)
    first, second = pairs[:, 0], pairs[:, 1]
    return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1).astype(np.uint8).tobytes()


def tiles(side=16):
    padded = np.pad(COLOURS, ((0, 0), (0, -WIDTH % side), (0, 0)))
    return [raw_bytes(padded[:, left : left + side]) for left in range(0, WIDTH, side)]


EXACT = {
    "strips": (tiff(tags(3, t278=5), *(raw_bytes(COLOURS[top : top + 5]) for top in range(0, HEIGHT, 5))), COLOURS),
    "big-endian": (tiff(tags(3), raw_bytes(COLOURS), order=">"), COLOURS),
    "BigTIFF": (tiff(tags(3), raw_bytes(COLOURS), big=True), COLOURS),
    "planes": (tiff(tags(3, t284=2), *map(raw_bytes, PLANES)), COLOURS),
    "planes in strips": (
        tiff(tags(3, t284=2, t278=8), *(raw_bytes(plane[top : top + 8]) for plane in PLANES for top in (0, 8))),
        COLOURS,
    ),
    "planes of 16 bits": (tiff(tags(3, 16, t284=2), *(raw_bytes(plane * 257, 16) for plane in PLANES)), COLOURS),
    "planes of 16 bits, big-endian": (
        tiff(tags(3, 16, t284=2), *(raw_bytes(plane * 257, 16, ">") for plane in PLANES), order=">", big=True),
        COLOURS,
    ),
    "tiles": (tiff(tags(3, t322=16, t323=16), *tiles(), places=324), COLOURS),
    "16 bits": (tiff(tags(3, 16), raw_bytes(COLOURS * 257, 16)), COLOURS),
    "16 bits, big-endian": (tiff(tags(3, 16), raw_bytes(COLOURS * 257, 16, ">"), order=">"), COLOURS),
    "gray of 16 bits": (tiff(tags(1, 16), raw_bytes(GRAY * 257, 16)), GRAY),
    "gray of 16 bits, big-endian": (tiff(tags(1, 16), raw_bytes(GRAY * 257, 16, ">"), order=">"), GRAY),
    "gray of 12 bits": (tiff(tags(1, 12), pack_12_bits(GRAY * 16 + GRAY // 16)), GRAY),
    "gray whose white is 0": (tiff(tags(1) | {262: 0}, raw_bytes(255 - GRAY)), GRAY),
    "one bit": (tiff(tags(1, 1), np.packbits(GRAY[:, :, 0] > 127, axis=1).tobytes()), (GRAY > 127) * 255),
    "LZW": (encode_image(PICTURE, "TIFF", compression="tiff_lzw"), COLOURS),
    "Deflate": (encode_image(PICTURE, "TIFF", compression="tiff_adobe_deflate"), COLOURS),
    "PackBits": (encode_image(PICTURE, "TIFF", compression="packbits"), COLOURS),
    "fax": (
        encode_image(image_of(GRAY).point(lambda value: value > 127, "1"), "TIFF", compression="group4"),
        (GRAY > 127) * 255,
    ),
    "a palette": (encode_image(PICTURE.quantize(16), "TIFF"), np.asarray(PICTURE.quantize(16).convert("RGB"))),
    "CMYK": (encode_image(PICTURE.convert("CMYK"), "TIFF"), COLOURS),
}  # fmt: skip


@pytest.mark.parametrize("kind", EXACT)
def test_a_tiff_of_each_kind_is_decoded_to_its_pixels(kind):
    payload, expected = EXACT[kind]
    pixels = to_array(decode(payload), 3).astype(int)
    assert np.abs(pixels - expected).max() <= 1


@pytest.mark.parametrize("extra, stored", [(2, COLOURS), (1, np.rint(COLOURS * ALPHA / 255))])
def test_a_tiff_with_alpha_is_blended_with_the_background(extra, stored):
    """With colours multiplied by alpha (ExtraSamples 1) and without (ExtraSamples 2)."""
    payload = tiff(tags(4, t338=extra), raw_bytes(np.concatenate([stored, ALPHA], axis=2)))
    pixels = read_array(payload, WIDTH, HEIGHT, 3, "squash", alpha_background="#3080c0")
    assert np.abs(pixels - composite(COLOURS / 255, ALPHA / 255, (0x30, 0x80, 0xC0))).max() <= 2


def test_a_tiff_with_jpeg_compression_is_decoded():
    payload = encode_image(PICTURE, "TIFF", compression="jpeg", quality=95)
    assert np.abs(to_array(decode(payload), 3).astype(int) - COLOURS).mean() < 4


SAMPLES_OF_12_BITS = {
    "colours": (tiff(tags(3, 16), raw_bytes(COLOURS * 16, 16)), COLOURS * 16),
    "colours, big-endian": (tiff(tags(3, 16), raw_bytes(COLOURS * 16, 16, ">"), order=">"), COLOURS * 16),
    "planes": (tiff(tags(3, 16, t284=2), *(raw_bytes(plane * 16, 16) for plane in PLANES)), COLOURS * 16),
    "gray": (
        encode_image(Image.fromarray((GRAY[:, :, 0] * 16).astype(np.uint16)), "TIFF", compression="tiff_lzw"),
        GRAY * 16,
    ),
}


@pytest.mark.parametrize("kind", SAMPLES_OF_12_BITS)
def test_12_bit_samples_in_a_16_bit_tiff_are_found_and_scaled(tmp_path, kind):
    payload, samples = SAMPLES_OF_12_BITS[kind]
    (tmp_path / "scan").write_bytes(payload)
    assert highest_deep_sample(tmp_path / "scan") == samples.max()
    pixels = read_array(payload, WIDTH, HEIGHT, 3, "squash", white_level=MAX_12_BITS)
    assert np.abs(pixels - samples * 255 / MAX_12_BITS).max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_rotated_by_its_orientation_once(orientation, compression, bits):
    turned = {
        1: GRAY, 2: GRAY[:, ::-1], 3: GRAY[::-1, ::-1], 4: GRAY[::-1], 5: GRAY.transpose(1, 0, 2), 6: np.rot90(GRAY),
        7: GRAY[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(GRAY, -1),
    }[orientation]  # fmt: skip
    stored = Image.fromarray((turned[:, :, 0] * (1 if bits == 8 else 16)).astype(f"u{bits // 8}"))
    payload = encode_image(stored, "TIFF", compression=compression, tiffinfo={274: orientation})
    pixels = read_array(payload, WIDTH, HEIGHT, 1, "squash", white_level=MAX_12_BITS)
    assert np.abs(pixels - GRAY).max() <= 1


REJECTED = {
    "its pixels are real numbers": encode_image(Image.fromarray(GRAY[:, :, 0].astype(np.float32)), "TIFF"),
    "a TIFF with signed samples is not supported": tiff(tags(1, 16, t339=2), raw_bytes(GRAY, 16)),
    "a TIFF with samples of 32 bits is not supported": tiff(tags(1, 32), raw_bytes(GRAY, 32)),
    "a TIFF with samples of 16 bits of which 0 is white": tiff(tags(1, 16) | {262: 0}, raw_bytes(GRAY, 16)),
    "a TIFF with colours of type 8 is not supported": encode_image(Image.new("LAB", (8, 8)), "TIFF"),
    "a TIFF of compression 6 is not supported": tiff(tags(3, t259=6), raw_bytes(COLOURS)),
    "in planes that are compressed or tiled": tiff(tags(3, 16, t284=2, t259=8), *[b"x"] * 3),
    "TIFF of this kind is not supported": tiff(tags(2, 16, t338=2), raw_bytes(np.zeros((HEIGHT, WIDTH, 2)), 16)),
    "DNG is not supported": tiff(tags(3) | {50706: (1, [1, 4, 0, 0])}, raw_bytes(COLOURS)),
    "a camera's raw file is not supported": tiff(tags(3, t254=1) | {330: (4, [8, 8])}, raw_bytes(COLOURS)),
    "damaged TIFF: it has 2 strips or tiles, but needs 4": tiff(
        tags(3, t278=4), raw_bytes(COLOURS), raw_bytes(COLOURS)
    ),
    "damaged TIFF: its tiles are 30000x30000": tiff(tags(3, t322=30000, t323=30000), raw_bytes(COLOURS), places=324),
    "damaged TIFF: its tag 256 has 2 values": tiff(tags(3, t256=[WIDTH, WIDTH]), raw_bytes(COLOURS)),
    "damaged TIFF: it is cut short": tiff(tags(3), raw_bytes(COLOURS))[:-20],
    "60000x60000 is more than 64,000,000 pixels": tiff(tags(1, t256=60000, t257=60000, t278=60000), b"x"),
    "a TIFF with 60000 samples a pixel": tiff(tags(3, t277=60000), raw_bytes(COLOURS)),
}


@pytest.mark.parametrize("reason", REJECTED)
def test_a_tiff_that_is_not_supported_is_rejected_with_the_reason(reason):
    with pytest.raises(BadImage, match=reason):
        decode(REJECTED[reason])


def several_pages(first=None):
    others = [Image.new("RGB", (WIDTH, HEIGHT), name) for name in ("red", "blue")]
    return encode_image(first or PICTURE, "TIFF", save_all=True, append_images=others)


def test_a_tiff_of_several_pages_is_decoded_to_the_first_with_a_remark():
    remarks = []
    look = Look(remark=remarks.append)
    np.testing.assert_array_equal(to_array(decode(several_pages(), look=look), 3), COLOURS)
    assert remarks == ["it has more than one page, and only the first was used"]
    decode(encode_image(PICTURE, "TIFF"), look=look)
    assert len(remarks) == 1


def test_a_thumbnail_in_a_tiff_is_not_counted_as_a_page():
    thumbnail, remarks = tiff(tags(3, t254=1), raw_bytes(COLOURS)), []
    (directory_offset,) = np.frombuffer(thumbnail[4:8], "<u4")
    page = tiff(tags(3), raw_bytes(COLOURS), following=4096).ljust(4096, b"\0") + thumbnail[directory_offset:]
    decode(page, look=Look(remark=remarks.append))
    assert remarks == []


def test_a_build_warns_about_tiff_files_with_several_pages(tmp_path):
    folder = write_digits(tmp_path / "images", {0: 4, 1: 4})
    for number in range(3):
        (folder / "0" / f"scan {number}.tif").write_bytes(several_pages(image_of(GRAY - number)))
    built = build(spec_of(folder), tmp_path / "job", ignore_progress)
    assert built.skipped == 0
    assert [warning.split(",")[0] for warning in built.warnings] == ["3 images were kept"]
    assert "it has more than one page, and only the first was used" in built.warnings[0]


def test_a_damaged_tiff_writes_nothing_to_standard_error():
    payload = bytearray(encode_image(PICTURE, "TIFF", compression="tiff_adobe_deflate"))
    payload[len(payload) // 2] ^= 0xFF
    program = (
        "import sys; from datasets.imagedb.images.decoding import BadImage, decode\n"
        "try: decode(sys.stdin.buffer.read())\nexcept BadImage as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", program], input=bytes(payload), capture_output=True, timeout=60)
    assert run.stderr == b""
    assert run.stdout.startswith(b"damaged TIFF: ")


def test_truncated_tiff_files_are_bad_images():
    payload = encode_image(PICTURE, "TIFF", compression="tiff_lzw")
    for length in range(64, len(payload), 97):
        with pytest.raises(BadImage, match="TIFF"):
            decode(io.BytesIO(payload[:length]))
