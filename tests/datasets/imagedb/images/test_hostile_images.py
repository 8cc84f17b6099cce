"""Images that want more memory or time than a picture needs, decoded where memory has a hard limit."""

import functools
import io
import struct
import subprocess
import sys
import threading
import zlib

import pytest
from PIL import Image

from datasets.imagedb import BadImage
from datasets.imagedb.images.decoding import decode
from datasets.imagedb.images.pixel_budget import PixelBudget
from datasets.imagedb.images.size_limits import MAX_PIXELS, SLOW_BYTES, SLOW_PIXELS
from tests.support.samples.heic_samples import heic_file
from tests.support.samples.imagedb_samples import photo
from tests.support.samples.tiff_samples import tags, tiff

# Decodes standard input within so many MiB above what the process takes already.
LIMITED = """
import resource, sys
from datasets.imagedb.images.decoding import BadImage, read_array
payload = sys.stdin.buffer.read()
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    print("decoded", read_array(payload, 64, 64, 3, "squash").shape)
except BadImage as refused:
    print("refused:", refused)
"""
SMALL = 48  # MiB; a thread's stack and Pillow's buffers fit in


def outcome(payload, mebibytes):
    run = subprocess.run(
        [sys.executable, "-c", LIMITED, str(mebibytes)], input=payload, capture_output=True, timeout=60
    )
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout.decode().strip()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks, pixels=b""):
    """Grayscale."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@functools.cache
def bomb(mebibytes):
    """So much of nothing, compressed a thousandfold."""
    deflate = zlib.compressobj(9)
    block = bytes(1 << 20)
    return b"".join(deflate.compress(block) for _ in range(mebibytes)) + deflate.flush()


def jpeg_of(width, height):
    """A small JPEG whose header says that it is larger."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    small = bytearray(buffer.getvalue())
    at = small.index(b"\xff\xc0") + 5
    small[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(small)


def webp_of(width, height):
    """The header of an animation that size."""
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bitmap(width, height, data=b"", compression=1):
    """Eight bits a pixel; compression 1 is by run lengths."""
    fields = (40, width, height, 1, 8, compression, len(data), 0, 0, 256, 0)
    offset = 14 + 40 + 1024
    header = b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset)
    return header + struct.pack("<IiiHHIIiiII", *fields) + bytes(1024) + data


def boxed_of(payload, width, height):
    """A HEIC or AVIF file whose header says that it is larger."""
    at = payload.index(b"ispe") + 8
    return payload[:at] + struct.pack(">II", width, height) + payload[at + 8 :]


def saved_avif(width, height):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "AVIF", speed=10)
    return buffer.getvalue()


def tiff_of(many, size):
    """A TIFF of one pixel with so many tags of that many bytes each, all of them the same bytes."""
    shared = (2, size, 200)
    needed = {256: (3, 1, 1), 257: (3, 1, 1), 258: (3, 1, 8), 262: (3, 1, 1), 273: (4, 1, 8), 279: (4, 1, 1)}
    entries = sorted((needed | {40_000 + number: shared for number in range(many)}).items())
    rows = b"".join(struct.pack("<HHII", tag, *value) for tag, value in entries)
    body = bytes(size + 200)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(entries)) + rows + bytes(4)


# Functions, so that a process makes only the images that its tests read.
HUGE = {
    "png": lambda: png(40_000, 40_000),
    "png-side": lambda: png(100_000, 1),
    "jpeg": lambda: jpeg_of(65_500, 65_500),
    "webp": lambda: webp_of(16_384, 16_384),
    "ppm": lambda: b"P6 50000 50000 255\n",
    "bmp": lambda: bitmap(30_000, 30_000, compression=0),
    "heic": lambda: boxed_of(heic_file("colour"), 30_000, 30_000),
    "avif": lambda: boxed_of(saved_avif(16, 16), 16_000, 16_000),
    "avif-frames": lambda: boxed_of(saved_avif(3000, 3000), 16, 16),
    "tiff": lambda: tiff(tags(1, t256=60_000, t257=60_000, t278=60_000), b"x"),
    "tiff-tile": lambda: tiff(tags(1, t322=60_000, t323=60_000), b"x", places=324),
    "tiff-planes": lambda: tiff(tags(1, t256=8000, t257=8000, t277=60_000, t284=2), *[b"x"] * 9),
    "tiff-tags": lambda: tiff_of(5000, 8 << 20),
    "png-iccp": lambda: png(64, 64, chunk(b"iCCP", b"profile\0\0" + bomb(300))),
    "png-many-ztxt": lambda: png(64, 64, *[chunk(b"zTXt", b"text\0\0" + zlib.compress(bytes(1 << 20)))] * 200),
}
HUGE_NOTES = {
    "iccp": lambda: chunk(b"iCCP", b"profile\0\0" + bomb(300)),
    "ztxt": lambda: chunk(b"zTXt", b"text\0\0" + bomb(300)),
    "itxt": lambda: chunk(b"iTXt", b"text\0\1\0\0\0" + bomb(300)),
    "many-ztxt": lambda: b"".join([chunk(b"zTXt", b"text\0\0" + zlib.compress(bytes(1 << 20)))] * 200),
}


@pytest.mark.parametrize("kind", HUGE)
def test_what_would_fill_the_memory_is_refused_within_little_of_it(kind):
    assert outcome(HUGE[kind](), SMALL).startswith("refused: ")


@pytest.mark.parametrize("kind", HUGE_NOTES)
def test_a_note_that_would_fill_the_memory_is_left_out_within_little_of_it(kind):
    assert outcome(png(64, 64, HUGE_NOTES[kind](), pixels=bytes(65 * 64)), SMALL) == "decoded (64, 64, 3)"


def test_a_tiff_whose_notes_are_many_times_the_same_bytes_is_read_without_them():
    assert outcome(tiff_of(900, 1 << 20), SMALL) == "decoded (64, 64, 3)"


@pytest.mark.slow
def test_a_bomb_in_the_pixels_ends_where_the_picture_does():
    deflated = png(64, 64)[:-12].rpartition(b"IDAT")[0][:-4] + chunk(b"IDAT", bomb(300)) + chunk(b"IEND", b"")
    assert outcome(deflated, SMALL) == "decoded (64, 64, 3)"


@pytest.mark.slow
def test_the_worst_picture_that_is_accepted_takes_a_gigabyte():
    buffer = io.BytesIO()
    Image.new("RGB", (8000, MAX_PIXELS // 8000)).save(buffer, "WEBP", lossless=True, quality=0, method=0)
    assert outcome(buffer.getvalue(), 1100) == "decoded (64, 64, 3)"
    assert outcome(buffer.getvalue(), SMALL).startswith("refused: ")


@pytest.mark.parametrize(
    "payload",
    [
        b"P6 2000 1001 254\n" + bytes(2000 * 1001 * 3),
        b"P5 2000 1001 1000\n" + bytes(2000 * 1001 * 2),
        bitmap(2000, 1001, b"\xff\0" * 10_000),
        bitmap(100, 100, b"\x01\0" * (SLOW_BYTES // 2)),
    ],
)
def test_what_only_a_loop_in_python_decodes_has_to_be_small(payload):
    with pytest.raises(BadImage, match="of this rare kind; save it as PNG"):
        decode(payload)


def test_what_a_loop_in_python_decodes_is_read_if_it_is_small():
    assert decode(b"P6 20 10 254\n" + bytes(20 * 10 * 3)).size == (20, 10)
    assert decode(bitmap(20, 10, b"\x14\0\0\0" * 10 + b"\0\1")).size == (20, 10)
    assert SLOW_PIXELS < MAX_PIXELS


def test_large_pictures_wait_for_each_other():
    turns, inside, most, lock = PixelBudget(100), [], [], threading.Lock()

    def work(pixels):
        for _ in range(50):
            with turns.taken(pixels):
                with lock:
                    inside.append(pixels)
                    most.append(sum(inside))
                with lock:
                    inside.remove(pixels)

    threads = [threading.Thread(target=work, args=[pixels]) for pixels in (100, 60, 50, 40, 10, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 300
    assert max(most) <= 100


def test_a_picture_that_fails_gives_its_share_back():
    whole = png(8000, 8000)  # without pixels: it is damaged when it is loaded
    for _ in range(3):  # of which two would fit at once
        with pytest.raises(BadImage, match="damaged PNG"):
            decode(whole)


def test_of_an_animation_the_first_frame_is_read():
    frames = [Image.fromarray(photo("china.jpg")[:32, :32]), Image.new("RGB", (32, 32), "red")]
    for kind in ("WEBP", "PNG"):
        buffer = io.BytesIO()
        frames[0].save(buffer, kind, save_all=True, append_images=frames[1:] * 20, lossless=True)
        assert decode(buffer.getvalue()).tobytes() == frames[0].tobytes()


def test_an_ordinary_picture_fits_into_the_little_memory_of_these_tests():
    assert outcome(png(64, 64, pixels=bytes(65 * 64)), SMALL) == "decoded (64, 64, 3)"
