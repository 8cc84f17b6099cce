import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.imagedb import BadImage
from datasets.imagedb.images.decoding import (
    decode,
    decode_record,
    read_array,
    read_image,
    to_array,
)
from datasets.imagedb.images.formats import ACCEPTED, READABLE, sniff
from datasets.imagedb.images.formats import FORMATS as READABLE_FORMATS
from datasets.imagedb.images.resize import resize
from datasets.imagedb.images.size_limits import MAX_PIXELS
from datasets.imagedb.readers.folder import no_images
from datasets.imagedb.store.payloads import encode, encode_image
from tests.support.samples.imagedb_samples import photo
from tests.support.samples.row_samples import add_snapshot, with_categories

FORMATS = ["PNG", "JPEG", "BMP", "PPM", "WEBP", "AVIF", "TIFF"]


def encode_as(image, format_name, **options):
    buffer = io.BytesIO()
    image.save(buffer, format_name, **options)
    return buffer.getvalue()


def png_header(width, height):
    """A PNG with a header of this size that ends where its pixels would start."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body)) + b"\0\0\0\1IDAT"


def damaged(payload, rng):
    """The payload with four bytes changed."""
    pixels = np.frombuffer(payload, np.uint8).copy()
    pixels[rng.integers(0, len(payload), 4)] = rng.integers(0, 256, 4)
    return pixels.tobytes()


def outcome(payload):
    """The mode of the decoded image, or "bad" if decode() raises BadImage."""
    try:
        return decode(payload).mode
    except BadImage:
        return "bad"


@pytest.fixture(scope="module")
def china():
    return Image.fromarray(photo("china.jpg")).crop((0, 0, 96, 64))


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_image_format_is_detected_by_content_not_by_suffix(tmp_path, china, format_name):
    (tmp_path / "picture.txt").write_bytes(encode_as(china, format_name))
    image = decode(tmp_path / "picture.txt")
    assert (image.mode, image.size) == ("RGB", (96, 64))
    assert np.abs(to_array(image, 3).astype(int) - np.asarray(china)).mean() < 5


@pytest.mark.parametrize("format_name", FORMATS)
def test_an_image_can_be_decoded_from_a_path_bytes_or_a_file(tmp_path, china, format_name):
    payload = encode_as(china, format_name)
    (tmp_path / "picture").write_bytes(payload)
    arrays = [to_array(decode(source), 3) for source in (tmp_path / "picture", payload, io.BytesIO(payload))]
    np.testing.assert_array_equal(arrays[0], arrays[1])
    np.testing.assert_array_equal(arrays[0], arrays[2])


def test_a_file_of_several_mebibytes_gives_the_same_pixels_as_its_bytes(tmp_path):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (900, 800, 3), np.uint8))
    payload = encode_as(noise, "PNG")
    (tmp_path / "large").write_bytes(payload)
    assert len(payload) > 2 << 20
    np.testing.assert_array_equal(decode(tmp_path / "large"), decode(payload))


@pytest.mark.parametrize("format_name", ["GIF", "ICO", "EPS", "TGA", "JPEG2000", "PCX"])
def test_formats_that_only_pillow_reads_are_rejected(china, format_name):
    with pytest.raises(BadImage, match="not an image of a known format"):
        decode(encode_as(china, format_name))


def test_a_text_that_starts_like_a_bitmap_is_not_an_image():
    assert sniff(b"BMW and other makers of cars") is None


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_truncated_image_is_a_bad_image(china, format_name):
    payload = encode_as(china, format_name)
    with pytest.raises(BadImage, match=f"damaged {format_name}"):
        decode(payload[: len(payload) * 2 // 3])


@pytest.mark.parametrize("format_name", FORMATS)
def test_random_damage_of_an_image_causes_only_bad_image(china, format_name):
    payload = encode_as(china.resize((24, 16)), format_name)
    rng = np.random.default_rng(0)
    outcomes = {outcome(damaged(payload, rng)) for _ in range(150)}
    assert "bad" in outcomes
    assert outcomes <= {"L", "RGB", "bad"}


def test_empty_and_missing_files_folders_and_pipes_are_bad_images(tmp_path):
    (tmp_path / "empty.png").touch()
    os.mkfifo(tmp_path / "pipe.png")
    reasons = {
        "empty.png": "the file is empty",
        "none.png": "No such file",
        ".": "Is a directory",
        "pipe.png": "not a regular file",
    }
    for name, reason in reasons.items():
        with pytest.raises(BadImage, match=reason):
            decode(tmp_path / name)


@pytest.mark.parametrize("size", [(MAX_PIXELS // 1000, 1001), (40_000, 40_000), (1_000_000, 1)])
def test_an_image_with_too_many_pixels_is_rejected_by_its_header(size):
    with pytest.raises(BadImage, match="pixels"):
        decode(png_header(*size))


def test_an_image_file_with_too_many_bytes_is_rejected_unread(tmp_path, china):
    path = tmp_path / "vast.png"
    path.write_bytes(encode_as(china, "PNG"))
    os.truncate(path, 300 << 20)
    with pytest.raises(BadImage, match="more than 256 MiB"):
        decode(path)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["PNG", "JPEG", "WEBP", "AVIF", "TIFF"])
def test_an_image_is_rotated_by_its_exif_orientation(orientation, format_name):
    """The image has a bright left half and a dark corner, and is stored rotated, as by a camera."""
    upright = np.full((32, 64), 60, np.uint8)
    upright[:, :32] = 220
    upright[:16, 48:] = 0
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    payload = encode_as(Image.fromarray(np.ascontiguousarray(turned)), format_name, exif=exif, quality=95)
    difference = np.abs(to_array(decode(payload), 1)[:, :, 0].astype(int) - upright)
    assert np.median(difference) <= 2


def test_an_image_with_damaged_exif_data_is_decoded(china):
    payload = encode_as(china, "JPEG", exif=b"Exif\x00\x00nonsense")
    assert decode(payload).size == china.size


def test_a_gray_image_of_16_bits_keeps_its_high_byte():
    values = np.array([[0, 255, 256, 32768, 65279, 65535]], np.uint16)
    png = encode_as(Image.fromarray(values), "PNG")
    pgm = b"P5 6 1 65535\n" + values.astype(">u2").tobytes()
    for payload in (png, pgm):
        np.testing.assert_array_equal(to_array(decode(payload), 1)[:, :, 0], values >> 8)


def test_a_palette_image_gets_the_colours_of_its_palette(china):
    palette = china.quantize(16)
    expected = np.asarray(palette.convert("RGB"))
    np.testing.assert_array_equal(to_array(decode(encode_as(palette, "PNG")), 3), expected)


def test_one_bit_and_cmyk_images_are_decoded(china):
    black = to_array(decode(encode_as(Image.new("1", (4, 4)), "PNG")), 3)
    white = to_array(decode(encode_as(Image.new("1", (4, 4), 1), "PNG")), 3)
    assert (black.max(), white.min()) == (0, 255)
    decoded = to_array(decode(encode_as(china.convert("CMYK"), "JPEG", quality=95)), 3)
    assert np.abs(decoded.astype(int) - np.asarray(china)).mean() < 5


def test_gray_and_colour_images_are_converted_into_each_other(china):
    gray = to_array(china.convert("L"), 3)
    assert (gray[:, :, 0] == gray[:, :, 1]).all()
    assert (gray[:, :, 0] == gray[:, :, 2]).all()
    luma = np.asarray(china) @ [0.299, 0.587, 0.114]
    np.testing.assert_allclose(to_array(china, 1)[:, :, 0], luma, atol=1)


def test_read_array_decodes_resizes_and_converts_an_image(china):
    payload = encode_as(china, "PNG")
    array = read_array(payload, 20, 30, 1, "fill")
    assert (array.shape, array.dtype) == ((30, 20, 1), np.uint8)
    np.testing.assert_array_equal(array, to_array(resize(china, 20, 30, "fill"), 1))


@pytest.mark.parametrize("encoding", ["png", "jpg"])
@pytest.mark.parametrize("size", [(96, 64), (20, 10)])
def test_a_record_has_the_pixels_of_its_file_and_nothing_else(china, encoding, size):
    exif = Image.Exif()
    exif[0x010E] = "a description"
    notes = {"icc_profile": b"profile" * 9, "dpi": (300, 300), "comment": b"a comment", "exif": exif}
    payload = encode_as(china, "JPEG", **notes)
    width, height = size
    record = encode_image(read_image(payload, width, height, 3, "squash"), encoding)
    assert record == encode(read_array(payload, width, height, 3, "squash"), encoding)


def test_jpeg_records_differ_little_from_the_image(china):
    pixels = to_array(china, 3)
    assert np.abs(decode_record(encode(pixels, "jpg")).astype(int) - pixels).mean() < 3


@pytest.mark.parametrize("encoding", ["none", "png", "jpg"])
def test_a_truncated_record_is_a_bad_image(china, encoding):
    payload = encode(to_array(china, 3), encoding)
    with pytest.raises(BadImage, match="damaged record"):
        decode_record(payload[: len(payload) // 2])


def test_a_record_in_another_format_is_a_bad_image(china):
    with pytest.raises(BadImage, match="damaged record"):
        decode_record(encode_as(china, "WEBP"))


# --- the list of formats that users see ------------------------------------------------------------------------------
FORMAT_LIST = "PNG, JPEG, BMP, PPM (P5, P6), WebP, HEIC, AVIF or TIFF"


def test_error_messages_list_the_readable_formats():
    assert READABLE == FORMAT_LIST
    assert f"An image is a {FORMAT_LIST} file." in no_images(Path("/images"))


def test_the_api_docs_list_the_readable_formats():
    assert f"An image is a {FORMAT_LIST} file" in " ".join(Path("docs/api.md").read_text().split())


@pytest.mark.django_db
def test_the_openapi_schema_lists_the_readable_formats(client, settings):
    settings.DIGITS_AUTH = "open"
    assert f"The image, as an upload: a {FORMAT_LIST} file." in client.get("/api/schema").content.decode()


@pytest.mark.django_db
def test_the_file_field_of_a_page_accepts_the_readable_formats(admin_client, make_dataset, make_model):
    model = make_model(with_categories(make_dataset()))
    add_snapshot(model, 1, 1)
    page = admin_client.get(f"/admin/models_app/trainedmodel/{model.pk}/change/").content.decode()
    assert f'name="image_file" accept="{ACCEPTED}"' in page
    assert all(suffix in ACCEPTED for format_ in READABLE_FORMATS for suffix in format_.suffixes)
