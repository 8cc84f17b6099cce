"""Images that need unusual amounts of memory or time, decoded in processes with a memory limit."""

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
from datasets.imagedb.images.pixel_budget import PixelBudget, Turn
from datasets.imagedb.images.size_limits import MAX_PIXELS, SLOW_BYTES, SLOW_PIXELS
from tests.support.samples.heic_samples import heic_file
from tests.support.samples.imagedb_samples import photo
from tests.support.samples.tiff_samples import tags, tiff

# Decodes standard input with a memory limit of argv[1] MiB above the memory that the process uses already.
PROGRAM = """
import resource, sys
from datasets.imagedb.images.decoding import BadImage, read_array
payload = sys.stdin.buffer.read()
pages = int(open("/proc/self/statm").read().split()[0])
most = pages * resource.getpagesize() + int(sys.argv[1]) * 2**20
resource.setrlimit(resource.RLIMIT_AS, (most, most))
try:
    print("decoded", read_array(payload, 64, 64, 3, "squash").shape)
except BadImage as error:
    print("rejected:", error)
"""
SMALL_MIB = 48  # enough for the stack of a thread and Pillow's buffers


def decode_with_limit(payload, mebibytes):
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(mebibytes)], input=payload, capture_output=True, timeout=60
    )
    assert run.returncode == 0, run.stderr.decode()
    return run.stdout.decode().strip()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks, pixels=b""):
    """A grayscale PNG."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = header + b"".join(chunks) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@functools.cache
def compressed_zeros(mebibytes):
    """So many MiB of zeros, which compression makes a thousand times smaller."""
    deflate = zlib.compressobj(9)
    block = bytes(1 << 20)
    return b"".join(deflate.compress(block) for _ in range(mebibytes)) + deflate.flush()


def jpeg_header(width, height):
    """A small JPEG with this size in its header."""
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    small = bytearray(buffer.getvalue())
    position = small.index(b"\xff\xc0") + 5
    small[position : position + 4] = struct.pack(">HH", height, width)
    return bytes(small)


def webp_header(width, height):
    """The header of a WebP animation of this size."""
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + canvas + b"ANIM" + struct.pack("<I", 6) + bytes(6)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def bitmap(width, height, data=b"", compression=1):
    """A BMP of 8 bits a pixel; compression 1 is run-length encoding."""
    fields = (40, width, height, 1, 8, compression, len(data), 0, 0, 256, 0)
    offset = 14 + 40 + 1024
    header = b"BM" + struct.pack("<IHHI", offset + len(data), 0, 0, offset)
    return header + struct.pack("<IiiHHIIiiII", *fields) + bytes(1024) + data


def change_header_size(payload, width, height):
    """A copy of a HEIC or AVIF file with this size in its header."""
    position = payload.index(b"ispe") + 8
    return payload[:position] + struct.pack(">II", width, height) + payload[position + 8 :]


def avif(width, height):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height)).save(buffer, "AVIF", speed=10)
    return buffer.getvalue()


def tiff_with_tags(count, size):
    """A TIFF of one pixel with `count` tags of `size` bytes each; all tags share the same bytes."""
    shared = (2, size, 200)
    needed = {256: (3, 1, 1), 257: (3, 1, 1), 258: (3, 1, 8), 262: (3, 1, 1), 273: (4, 1, 8), 279: (4, 1, 1)}
    entries = sorted((needed | {40_000 + number: shared for number in range(count)}).items())
    rows = b"".join(struct.pack("<HHII", tag, *value) for tag, value in entries)
    body = bytes(size + 200)
    return b"II*\0" + struct.pack("<I", 8 + len(body)) + body + struct.pack("<H", len(entries)) + rows + bytes(4)


# Lambdas, so that a test process creates only the images that its tests use.
HUGE_IMAGES = {
    "png": lambda: png(40_000, 40_000),
    "png-side": lambda: png(100_000, 1),
    "jpeg": lambda: jpeg_header(65_500, 65_500),
    "webp": lambda: webp_header(16_384, 16_384),
    "ppm": lambda: b"P6 50000 50000 255\n",
    "bmp": lambda: bitmap(30_000, 30_000, compression=0),
    "heic": lambda: change_header_size(heic_file("colour"), 30_000, 30_000),
    "avif": lambda: change_header_size(avif(16, 16), 16_000, 16_000),
    "avif-frames": lambda: change_header_size(avif(3000, 3000), 16, 16),
    "tiff": lambda: tiff(tags(1, t256=60_000, t257=60_000, t278=60_000), b"x"),
    "tiff-tile": lambda: tiff(tags(1, t322=60_000, t323=60_000), b"x", places=324),
    "tiff-planes": lambda: tiff(tags(1, t256=8000, t257=8000, t277=60_000, t284=2), *[b"x"] * 9),
    "tiff-tags": lambda: tiff_with_tags(5000, 8 << 20),
    "png-iccp": lambda: png(64, 64, chunk(b"iCCP", b"profile\0\0" + compressed_zeros(300))),
    "png-many-ztxt": lambda: png(64, 64, *[chunk(b"zTXt", b"text\0\0" + zlib.compress(bytes(1 << 20)))] * 200),
}
HUGE_METADATA = {
    "iccp": lambda: chunk(b"iCCP", b"profile\0\0" + compressed_zeros(300)),
    "ztxt": lambda: chunk(b"zTXt", b"text\0\0" + compressed_zeros(300)),
    "itxt": lambda: chunk(b"iTXt", b"text\0\1\0\0\0" + compressed_zeros(300)),
    "many-ztxt": lambda: b"".join([chunk(b"zTXt", b"text\0\0" + zlib.compress(bytes(1 << 20)))] * 200),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HUGE_IMAGES)
def test_an_image_that_would_fill_the_memory_is_rejected_with_little_memory(kind):
    assert decode_with_limit(HUGE_IMAGES[kind](), SMALL_MIB).startswith("rejected: ")


@pytest.mark.slow
@pytest.mark.parametrize("kind", HUGE_METADATA)
def test_png_metadata_that_would_fill_the_memory_is_ignored(kind):
    assert (
        decode_with_limit(png(64, 64, HUGE_METADATA[kind](), pixels=bytes(65 * 64)), SMALL_MIB) == "decoded (64, 64, 3)"
    )


def test_repeated_metadata_of_a_tiff_is_ignored():
    assert decode_with_limit(tiff_with_tags(900, 1 << 20), SMALL_MIB) == "decoded (64, 64, 3)"


@pytest.mark.slow
def test_compressed_data_after_the_last_pixel_is_not_read():
    payload = (
        png(64, 64)[:-12].rpartition(b"IDAT")[0][:-4] + chunk(b"IDAT", compressed_zeros(300)) + chunk(b"IEND", b"")
    )
    assert decode_with_limit(payload, SMALL_MIB) == "decoded (64, 64, 3)"


@pytest.mark.slow
def test_the_largest_accepted_image_needs_one_gigabyte():
    buffer = io.BytesIO()
    Image.new("RGB", (8000, MAX_PIXELS // 8000)).save(buffer, "WEBP", lossless=True, quality=0, method=0)
    assert decode_with_limit(buffer.getvalue(), 1100) == "decoded (64, 64, 3)"
    assert decode_with_limit(buffer.getvalue(), SMALL_MIB).startswith("rejected: ")


@pytest.mark.parametrize(
    "payload",
    [
        b"P6 2000 1001 254\n" + bytes(2000 * 1001 * 3),
        b"P5 2000 1001 1000\n" + bytes(2000 * 1001 * 2),
        bitmap(2000, 1001, b"\xff\0" * 10_000),
        bitmap(100, 100, b"\x01\0" * (SLOW_BYTES // 2)),
    ],
)
def test_image_kinds_that_pillow_decodes_slowly_have_a_smaller_limit(payload):
    with pytest.raises(BadImage, match="of this rare kind; save it as PNG"):
        decode(payload)


def test_small_images_of_slow_kinds_are_decoded():
    assert decode(b"P6 20 10 254\n" + bytes(20 * 10 * 3)).size == (20, 10)
    assert decode(bitmap(20, 10, b"\x14\0\0\0" * 10 + b"\0\1")).size == (20, 10)
    assert SLOW_PIXELS < MAX_PIXELS


@pytest.mark.parametrize("processes, images, most", [(1, (100, 60, 50, 40), 100), (2, (50, 40, 30, 20), 50)])
def test_the_pixel_budget_limits_the_images_decoded_at_once(processes, images, most):
    budget, in_use, peaks, lock = PixelBudget(100), [], [], threading.Lock()
    budget.divide(processes)

    def work(pixels):
        for _ in range(50):
            with Turn(budget) as turn:
                turn.take(pixels)
                with lock:
                    in_use.append(pixels)
                    peaks.append(sum(in_use))
                with lock:
                    in_use.remove(pixels)

    threads = [threading.Thread(target=work, args=[pixels]) for pixels in (*images, 10, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(peaks) == 300
    assert max(peaks) <= most


def test_an_image_larger_than_the_part_of_a_process_is_decoded_alone():
    budget = PixelBudget(100)
    budget.divide(8)
    with Turn(budget) as turn:
        turn.take(100)
        assert budget._free == 0


def test_a_bad_image_releases_its_pixel_budget():
    payload = png(8000, 8000)  # without pixels, so that decoding fails
    for _ in range(3):  # the budget has room for two at once
        with pytest.raises(BadImage, match="damaged PNG"):
            decode(payload)


def test_an_animation_is_decoded_to_its_first_frame():
    frames = [Image.fromarray(photo("china.jpg")[:32, :32]), Image.new("RGB", (32, 32), "red")]
    for kind in ("WEBP", "PNG"):
        buffer = io.BytesIO()
        frames[0].save(buffer, kind, save_all=True, append_images=frames[1:] * 20, lossless=True)
        assert decode(buffer.getvalue()).tobytes() == frames[0].tobytes()


def test_an_ordinary_image_is_decoded_within_the_small_memory_limit():
    assert decode_with_limit(png(64, 64, pixels=bytes(65 * 64)), SMALL_MIB) == "decoded (64, 64, 3)"
