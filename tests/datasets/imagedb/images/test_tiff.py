"""TIFF files of many kinds give the pixels that they hold, or a reason."""

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
TWELVE = 4095
PLANES = COLOURS.transpose(2, 0, 1)
PILLOW = Image.fromarray(COLOURS.astype(np.uint8))


def twelve(samples):
    """Two samples in three bytes."""
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
    "gray of 12 bits": (tiff(tags(1, 12), twelve(GRAY * 16 + GRAY // 16)), GRAY),
    "gray whose white is 0": (tiff(tags(1) | {262: 0}, raw_bytes(255 - GRAY)), GRAY),
    "one bit": (tiff(tags(1, 1), np.packbits(GRAY[:, :, 0] > 127, axis=1).tobytes()), (GRAY > 127) * 255),
    "LZW": (encode_image(PILLOW, "TIFF", compression="tiff_lzw"), COLOURS),
    "Deflate": (encode_image(PILLOW, "TIFF", compression="tiff_adobe_deflate"), COLOURS),
    "PackBits": (encode_image(PILLOW, "TIFF", compression="packbits"), COLOURS),
    "fax": (
        encode_image(image_of(GRAY).point(lambda value: value > 127, "1"), "TIFF", compression="group4"),
        (GRAY > 127) * 255,
    ),
    "a palette": (encode_image(PILLOW.quantize(16), "TIFF"), np.asarray(PILLOW.quantize(16).convert("RGB"))),
    "CMYK": (encode_image(PILLOW.convert("CMYK"), "TIFF"), COLOURS),
}  # fmt: skip


@pytest.mark.parametrize("kind", EXACT)
def test_the_pixels_of_a_tiff_are_those_that_it_holds(kind):
    payload, expected = EXACT[kind]
    found = to_array(decode(payload), 3).astype(int)
    assert np.abs(found - expected).max() <= 1


@pytest.mark.parametrize("extra, stored", [(2, COLOURS), (1, np.rint(COLOURS * ALPHA / 255))])
def test_a_tiff_with_alpha_is_put_onto_the_background(extra, stored):
    """Whether its colours were multiplied by alpha, as extra samples of kind 1 are, or not."""
    payload = tiff(tags(4, t338=extra), raw_bytes(np.concatenate([stored, ALPHA], axis=2)))
    found = read_array(payload, WIDTH, HEIGHT, 3, "squash", alpha_background="#3080c0")
    assert np.abs(found - composite(COLOURS / 255, ALPHA / 255, (0x30, 0x80, 0xC0))).max() <= 2


def test_jpeg_in_tiff_is_read():
    payload = encode_image(PILLOW, "TIFF", compression="jpeg", quality=95)
    assert np.abs(to_array(decode(payload), 3).astype(int) - COLOURS).mean() < 4


DEEP = {
    "colours": (tiff(tags(3, 16), raw_bytes(COLOURS * 16, 16)), COLOURS * 16),
    "colours, big-endian": (tiff(tags(3, 16), raw_bytes(COLOURS * 16, 16, ">"), order=">"), COLOURS * 16),
    "planes": (tiff(tags(3, 16, t284=2), *(raw_bytes(plane * 16, 16) for plane in PLANES)), COLOURS * 16),
    "gray": (
        encode_image(Image.fromarray((GRAY[:, :, 0] * 16).astype(np.uint16)), "TIFF", compression="tiff_lzw"),
        GRAY * 16,
    ),
}


@pytest.mark.parametrize("kind", DEEP)
def test_twelve_bits_in_a_tiff_of_sixteen_are_measured_and_scaled(tmp_path, kind):
    payload, samples = DEEP[kind]
    (tmp_path / "scan").write_bytes(payload)
    assert highest_deep_sample(tmp_path / "scan") == samples.max()
    found = read_array(payload, WIDTH, HEIGHT, 3, "squash", white_level=TWELVE)
    assert np.abs(found - samples * 255 / TWELVE).max() <= 1


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_is_turned_upright_once(orientation, compression, bits):
    turned = {
        1: GRAY, 2: GRAY[:, ::-1], 3: GRAY[::-1, ::-1], 4: GRAY[::-1], 5: GRAY.transpose(1, 0, 2), 6: np.rot90(GRAY),
        7: GRAY[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(GRAY, -1),
    }[orientation]  # fmt: skip
    stored = Image.fromarray((turned[:, :, 0] * (1 if bits == 8 else 16)).astype(f"u{bits // 8}"))
    payload = encode_image(stored, "TIFF", compression=compression, tiffinfo={274: orientation})
    found = read_array(payload, WIDTH, HEIGHT, 1, "squash", white_level=TWELVE)
    assert np.abs(found - GRAY).max() <= 1


REFUSED = {
    "its pixels are real numbers": encode_image(Image.fromarray(GRAY[:, :, 0].astype(np.float32)), "TIFF"),
    "a TIFF whose samples have a sign is not read": tiff(tags(1, 16, t339=2), raw_bytes(GRAY, 16)),
    "a TIFF with samples of 32 bits is not read": tiff(tags(1, 32), raw_bytes(GRAY, 32)),
    "a TIFF with samples of 16 bits of which 0 is white": tiff(tags(1, 16) | {262: 0}, raw_bytes(GRAY, 16)),
    "a TIFF of colours of kind 8 is not read": encode_image(Image.new("LAB", (8, 8)), "TIFF"),
    "a TIFF of compression 6 is not read": tiff(tags(3, t259=6), raw_bytes(COLOURS)),
    "in planes that are compressed or tiled": tiff(tags(3, 16, t284=2, t259=8), *[b"x"] * 3),
    "a TIFF of this kind is not read": tiff(tags(2, 16, t338=2), raw_bytes(np.zeros((HEIGHT, WIDTH, 2)), 16)),
    "DNG is not read": tiff(tags(3) | {50706: (1, [1, 4, 0, 0])}, raw_bytes(COLOURS)),
    "a camera's raw file is not read": tiff(tags(3, t254=1) | {330: (4, [8, 8])}, raw_bytes(COLOURS)),
    "damaged TIFF: it has 2 strips or tiles, but needs 4": tiff(
        tags(3, t278=4), raw_bytes(COLOURS), raw_bytes(COLOURS)
    ),
    "damaged TIFF: its tiles are 30000x30000": tiff(tags(3, t322=30000, t323=30000), raw_bytes(COLOURS), places=324),
    "damaged TIFF: its tag 256 has 2 values": tiff(tags(3, t256=[WIDTH, WIDTH]), raw_bytes(COLOURS)),
    "damaged TIFF: it is cut short": tiff(tags(3), raw_bytes(COLOURS))[:-20],
    "60000x60000 is more than 64,000,000 pixels": tiff(tags(1, t256=60000, t257=60000, t278=60000), b"x"),
    "a TIFF with 60000 samples a pixel": tiff(tags(3, t277=60000), raw_bytes(COLOURS)),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_tiff_that_can_not_be_used_says_why(reason):
    with pytest.raises(BadImage, match=reason):
        decode(REFUSED[reason])


def several_pages(first=None):
    others = [Image.new("RGB", (WIDTH, HEIGHT), name) for name in ("red", "blue")]
    return encode_image(first or PILLOW, "TIFF", save_all=True, append_images=others)


def test_of_several_pages_the_first_is_read_and_a_remark_says_so():
    remarks = []
    look = Look(remark=remarks.append)
    np.testing.assert_array_equal(to_array(decode(several_pages(), look=look), 3), COLOURS)
    assert remarks == ["it has more than one page, and only the first was read"]
    decode(encode_image(PILLOW, "TIFF"), look=look)
    assert len(remarks) == 1


def test_a_smaller_copy_of_the_picture_is_no_page():
    small, remarks = tiff(tags(3, t254=1), raw_bytes(COLOURS)), []
    (table,) = np.frombuffer(small[4:8], "<u4")
    page = tiff(tags(3), raw_bytes(COLOURS), following=4096).ljust(4096, b"\0") + small[table:]
    decode(page, look=Look(remark=remarks.append))
    assert remarks == []


def test_the_report_of_a_build_counts_files_with_several_pages(tmp_path):
    folder = write_digits(tmp_path / "images", {0: 4, 1: 4})
    for number in range(3):
        (folder / "0" / f"scan {number}.tif").write_bytes(several_pages(image_of(GRAY - number)))
    built = build(spec_of(folder), tmp_path / "job", ignore_progress)
    assert built.skipped == 0
    assert [warning.split(",")[0] for warning in built.warnings] == ["3 images were kept"]
    assert "it has more than one page, and only the first was read" in built.warnings[0]


def test_a_damaged_tiff_writes_nothing_to_standard_error():
    payload = bytearray(encode_image(PILLOW, "TIFF", compression="tiff_adobe_deflate"))
    payload[len(payload) // 2] ^= 0xFF
    program = (
        "import sys; from datasets.imagedb.images.decoding import BadImage, decode\n"
        "try: decode(sys.stdin.buffer.read())\nexcept BadImage as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", program], input=bytes(payload), capture_output=True, timeout=60)
    assert run.stderr == b""
    assert run.stdout.startswith(b"damaged TIFF: ")


def test_every_cut_of_a_tiff_is_damaged():
    whole = encode_image(PILLOW, "TIFF", compression="tiff_lzw")
    for length in range(64, len(whole), 97):
        with pytest.raises(BadImage, match="TIFF"):
            decode(io.BytesIO(whole[:length]))
