"""HEIC and AVIF files: the pixels of the main picture, its rotation, and limits of size and memory."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from datasets.imagedb import BadImage, build
from datasets.imagedb.images import heic
from datasets.imagedb.images.av1 import BadBitstream, largest_frame
from datasets.imagedb.images.avif import still_avif
from datasets.imagedb.images.decoding import decode, highest_deep_sample, read_array, to_array
from datasets.imagedb.images.formats import sniff
from tests.support.samples import heic_samples
from tests.support.samples.heic_samples import HEIGHT, WIDTH, expected_alpha, expected_pixels
from tests.support.samples.imagedb_samples import ignore_progress, spec_of, write_digits
from tests.support.samples.picture_samples import composite, encode_image, image_of

COLOURS = expected_pixels()
LUMA = COLOURS @ [0.299, 0.587, 0.114]
PICTURE = Image.fromarray(COLOURS.astype(np.uint8))
BACKGROUND = (0x30, 0x80, 0xC0)
HEIC_FILES = {
    "colour": COLOURS,
    "gray": LUMA[:, :, None],
    "alpha": composite(COLOURS / 255, expected_alpha() / 255, BACKGROUND),
    "ten bits": COLOURS,
    "gray of twelve bits": COLOURS[:, :, :1],
    "turned": COLOURS,
    "several": COLOURS,
}


def avif(picture=PICTURE, **options):
    return encode_image(picture, "AVIF", quality=100, subsampling="4:4:4", speed=8, **options)


def change_header_size(payload, width, height):
    """A copy of the file with another size in its header."""
    position = payload.index(b"ispe") + 8
    return payload[:position] + struct.pack(">II", width, height) + payload[position + 8 :]


@pytest.mark.parametrize("kind", HEIC_FILES)
def test_a_heic_file_is_decoded_to_its_main_picture(kind):
    pixels = read_array(heic_samples.heic_file(kind), WIDTH, HEIGHT, 3, "squash", alpha_background="#3080c0")
    assert np.abs(pixels - HEIC_FILES[kind]).max() <= 2


@pytest.mark.parametrize("white_level", [65535, 4095])
def test_heic_files_of_10_and_12_bits_need_no_white_level(tmp_path, white_level):
    """The file itself declares its bit depth."""
    for name in ("ten bits", "gray of twelve bits"):
        (tmp_path / "image").write_bytes(heic_samples.heic_file(name))
        assert highest_deep_sample(tmp_path / "image") is None
        pixels = read_array(tmp_path / "image", WIDTH, HEIGHT, 3, "squash", white_level=white_level)
        assert np.abs(pixels - HEIC_FILES[name]).max() <= 2


def test_an_avif_file_is_decoded_to_its_pixels():
    """The conversion of RGB to YUV alone changes a colour by up to 3 of 255."""
    assert np.abs(to_array(decode(avif()), 3).astype(int) - COLOURS).max() <= 3
    gray = to_array(decode(avif(PICTURE.convert("L"))), 1)[:, :, 0]
    assert np.abs(gray - LUMA).max() <= 2


def test_an_avif_file_with_alpha_is_blended_with_the_background():
    samples = np.concatenate([COLOURS, expected_alpha()], axis=2)
    pixels = read_array(avif(image_of(samples)), WIDTH, HEIGHT, 3, "squash", alpha_background="#3080c0")
    assert np.abs(pixels - HEIC_FILES["alpha"]).max() <= 3


def test_the_xmp_orientation_does_not_rotate_an_avif_file():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert decode(avif(xmp=xmp)).size == (WIDTH, HEIGHT)


def test_an_avif_animation_is_decoded_to_its_still_picture():
    frames = [Image.new("RGB", (WIDTH, HEIGHT), name) for name in ("red", "blue")]
    animation = avif(save_all=True, append_images=frames)
    assert animation[8:12] == b"avis"
    assert np.abs(to_array(decode(animation), 3).astype(int) - COLOURS).max() <= 12
    assert still_avif(animation)[1] == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "header, format_name",
    [
        (heic_samples.heic_file("colour"), "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafheic", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafavif", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1j2ki", None),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", None),
        (avif(), "AVIF"),
    ],
)
def test_heic_and_avif_are_detected_by_their_brands(header, format_name):
    assert sniff(header[:64]) == format_name


def test_a_build_reads_heic_files_with_the_suffix_jpg(tmp_path):
    folder = write_digits(tmp_path / "images", {0: 4, 1: 4})
    for number, name in enumerate(("colour", "turned", "ten bits")):
        (folder / "0" / f"IMG_{number}.jpg").write_bytes(heic_samples.heic_file(name))
    (folder / "1" / "web.avif").write_bytes(avif())
    (folder / "1" / "broken.heic").write_bytes(heic_samples.heic_file("colour")[:600])
    built = build(spec_of(folder), tmp_path / "job", ignore_progress)
    assert sum(split.entries for split in built.splits) == 12
    assert built.skipped_reasons == {"damaged HEIC: it is cut short": 1}


# --- damaged and hostile files ---------------------------------------------------------------------------------------


def test_a_heic_file_that_crashes_its_decoder_is_a_bad_image():
    """pi-heif 1.4 decodes the type of a metadata block as UTF-8, and ends its process if that fails."""
    payload = heic_samples.heic_file("turned").replace(b"Exif", b"Ex\xdaf", 1)
    with pytest.raises(BadImage, match="damaged HEIC: "):
        decode(payload)


def test_the_heic_decoder_has_a_memory_limit(monkeypatch):
    monkeypatch.setattr(heic, "MAX_DECODER_MIB", 30)
    with pytest.raises(BadImage, match="damaged HEIC: "):
        decode(heic_samples.heic_file("colour"))


def test_the_heic_decoder_does_not_get_the_environment_of_the_server(monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # Python cannot start with this
    assert decode(heic_samples.heic_file("colour")).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("payload", [heic_samples.heic_file("colour"), avif()], ids=["HEIC", "AVIF"])
def test_a_heic_or_avif_header_with_too_many_pixels_is_rejected(payload):
    with pytest.raises(BadImage, match="9000x9000 is more than 64,000,000 pixels"):
        decode(change_header_size(payload, 9000, 9000))


def test_an_avif_file_with_frames_larger_than_its_header_is_rejected():
    """libavif would decode the large frames and scale them down."""
    large_avif = avif(Image.new("RGB", (1024, 1024)))
    with pytest.raises(BadImage, match="damaged AVIF: it holds more pixels than 8x8"):
        decode(change_header_size(large_avif, 8, 8))


@pytest.mark.parametrize("size", [(1, 1), (63, 65), (256, 129), (1024, 8)])
def test_the_size_of_avif_frames_is_read_without_decoding(size):
    assert still_avif(avif(Image.new("RGB", size)))[1] == size
    assert still_avif(avif(Image.new("RGB", size), save_all=True, append_images=[Image.new("RGB", size)]))[1] == size


def av1_units(*bits):
    """AV1 data units (OBUs), each from its type and its bits."""
    data = b""
    for kind, text in bits:
        text = text.replace(" ", "")
        body = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
        data += bytes([kind << 3 | 2, len(body)]) + body
    return data


# An AV1 sequence header: profile, no still picture, full header, no timing and delay, one operating point; 16 bits for
# width and height, 8×8; no frame ids, block sizes, filters, order hints and screen content tools.
SEQUENCE = "000 0 0 0 0 00000 000000000000 00000 1111 1111" + f" {7:016b}" * 2 + " 0 0000000 0 0 0 0000"


FRAME = "0 00 1 0 {} 000000"  # a key frame that is shown; the flag for a frame size of its own


def test_an_av1_frame_with_another_size_than_its_sequence_is_rejected():
    assert largest_frame(av1_units((1, SEQUENCE), (6, FRAME.format(0)))) == (8, 8)
    with pytest.raises(BadBitstream, match="a frame differs in size from its sequence"):
        largest_frame(av1_units((1, SEQUENCE), (6, FRAME.format(1))))


def test_truncated_heic_and_avif_files_are_bad_images():
    for payload in (avif(), heic_samples.heic_file("colour")):
        for length in range(20, len(payload), len(payload) // 12):
            with pytest.raises(BadImage, match="damaged "):
                decode(io.BytesIO(payload[:length]))
