"""HEIC and AVIF files: the pixels of their main picture, turned once, and no more memory than they announce."""

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
PILLOW = Image.fromarray(COLOURS.astype(np.uint8))
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


def avif(picture=PILLOW, **options):
    return encode_image(picture, "AVIF", quality=100, subsampling="4:4:4", speed=8, **options)


def announcing(payload, width, height):
    """The file with another size in its header than that of its pixels."""
    at = payload.index(b"ispe") + 8
    return payload[:at] + struct.pack(">II", width, height) + payload[at + 8 :]


@pytest.mark.parametrize("kind", HEIC_FILES)
def test_the_pixels_of_a_heic_are_those_of_its_main_picture(kind):
    found = read_array(heic_samples.heic_file(kind), WIDTH, HEIGHT, 3, "squash", alpha_background="#3080c0")
    assert np.abs(found - HEIC_FILES[kind]).max() <= 2


@pytest.mark.parametrize("white_level", [65535, 4095])
def test_samples_of_ten_and_twelve_bits_need_no_white_level(tmp_path, white_level):
    """The file says itself what is white."""
    for name in ("ten bits", "gray of twelve bits"):
        (tmp_path / "image").write_bytes(heic_samples.heic_file(name))
        assert highest_deep_sample(tmp_path / "image") is None
        found = read_array(tmp_path / "image", WIDTH, HEIGHT, 3, "squash", white_level=white_level)
        assert np.abs(found - HEIC_FILES[name]).max() <= 2


def test_the_pixels_of_an_avif_are_those_that_it_holds():
    """Its colours lose up to 3 of 255 when they are turned into those of a film, before anything is left out."""
    assert np.abs(to_array(decode(avif()), 3).astype(int) - COLOURS).max() <= 3
    gray = to_array(decode(avif(PILLOW.convert("L"))), 1)[:, :, 0]
    assert np.abs(gray - LUMA).max() <= 2


def test_an_avif_with_alpha_is_put_onto_the_background():
    samples = np.concatenate([COLOURS, expected_alpha()], axis=2)
    found = read_array(avif(image_of(samples)), WIDTH, HEIGHT, 3, "squash", alpha_background="#3080c0")
    assert np.abs(found - HEIC_FILES["alpha"]).max() <= 3


def test_a_note_about_the_orientation_does_not_turn_an_avif_that_has_no_box_for_it():
    note = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    assert decode(avif(xmp=note)).size == (WIDTH, HEIGHT)


def test_of_a_film_the_still_picture_is_read():
    frames = [Image.new("RGB", (WIDTH, HEIGHT), name) for name in ("red", "blue")]
    film = avif(save_all=True, append_images=frames)
    assert film[8:12] == b"avis"
    assert np.abs(to_array(decode(film), 3).astype(int) - COLOURS).max() <= 12
    assert still_avif(film)[1] == (WIDTH, HEIGHT)


@pytest.mark.parametrize(
    "head, format_name",
    [
        (heic_samples.heic_file("colour"), "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafheic", "HEIC"),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1miafavif", "AVIF"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1j2ki", None),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", None),
        (avif(), "AVIF"),
    ],
)
def test_the_format_is_that_of_the_brands(head, format_name):
    assert sniff(head[:64]) == format_name


def test_photos_of_a_phone_named_jpg_are_built_as_what_they_are(tmp_path):
    folder = write_digits(tmp_path / "images", {0: 4, 1: 4})
    for number, name in enumerate(("colour", "turned", "ten bits")):
        (folder / "0" / f"IMG_{number}.jpg").write_bytes(heic_samples.heic_file(name))
    (folder / "1" / "web.avif").write_bytes(avif())
    (folder / "1" / "broken.heic").write_bytes(heic_samples.heic_file("colour")[:600])
    built = build(spec_of(folder), tmp_path / "job", ignore_progress)
    assert sum(split.entries for split in built.splits) == 12
    assert built.skipped_reasons == {"damaged HEIC: it is cut short": 1}


# --- what is damaged or made to do harm ------------------------------------------------------------------------------


def test_a_heic_that_ends_its_decoder_is_a_bad_image():
    """pi-heif 1.4 reads the type of a note as UTF-8, and ends its process if it is none."""
    payload = heic_samples.heic_file("turned").replace(b"Exif", b"Ex\xdaf", 1)
    with pytest.raises(BadImage, match="damaged HEIC: "):
        decode(payload)


def test_a_decoder_that_wants_too_much_memory_is_refused_it(monkeypatch):
    monkeypatch.setattr(heic, "MAX_DECODER_MIB", 30)
    with pytest.raises(BadImage, match="damaged HEIC: "):
        decode(heic_samples.heic_file("colour"))


def test_the_decoder_knows_nothing_of_the_servers_environment(monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")  # with which no Python starts
    assert decode(heic_samples.heic_file("colour")).size == (WIDTH, HEIGHT)


@pytest.mark.parametrize("payload", [heic_samples.heic_file("colour"), avif()], ids=["HEIC", "AVIF"])
def test_a_size_beyond_the_limit_is_refused_by_the_header(payload):
    with pytest.raises(BadImage, match="9000x9000 is more than 64,000,000 pixels"):
        decode(announcing(payload, 9000, 9000))


def test_frames_of_an_avif_that_are_larger_than_it_says_are_refused():
    """libavif would decode them all and scale them down."""
    large = avif(Image.new("RGB", (1024, 1024)))
    with pytest.raises(BadImage, match="damaged AVIF: its pixels are more than those of 8x8"):
        decode(announcing(large, 8, 8))


@pytest.mark.parametrize("size", [(1, 1), (63, 65), (256, 129), (1024, 8)])
def test_the_size_of_frames_is_read_without_decoding_them(size):
    assert still_avif(avif(Image.new("RGB", size)))[1] == size
    assert still_avif(avif(Image.new("RGB", size), save_all=True, append_images=[Image.new("RGB", size)]))[1] == size


def units(*bits):
    """Units of AV1 data, each from its type and its bits."""
    data = b""
    for kind, text in bits:
        text = text.replace(" ", "")
        body = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
        data += bytes([kind << 3 | 2, len(body)]) + body
    return data


# Profile, not a still picture, whole header, no timing, no delay, one operating point; 16 bits for each side, 8×8;
# no numbers of frames, blocks and filters, no order hints, no screen content.
SEQUENCE = "000 0 0 0 0 00000 000000000000 00000 1111 1111" + f" {7:016b}" * 2 + " 0 0000000 0 0 0 0000"


FRAME = "0 00 1 0 {} 000000"  # a key frame, shown; then whether it has a size of its own


def test_a_frame_that_says_another_size_than_its_sequence_is_refused():
    assert largest_frame(units((1, SEQUENCE), (6, FRAME.format(0)))) == (8, 8)
    with pytest.raises(BadBitstream, match="a frame has another size than its sequence"):
        largest_frame(units((1, SEQUENCE), (6, FRAME.format(1))))


def test_every_cut_of_an_avif_and_a_heic_is_damaged():
    for whole in (avif(), heic_samples.heic_file("colour")):
        for length in range(20, len(whole), len(whole) // 12):
            with pytest.raises(BadImage, match="damaged "):
                decode(io.BytesIO(whole[:length]))
