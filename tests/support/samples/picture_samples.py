"""Small image files of every kind. Those that Pillow can't write are put together byte by byte."""

import io
import struct
import zlib
from base64 import b64decode

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 16, 24
GRAY, RGB, GRAY_ALPHA, RGBA = 0, 2, 4, 6  # PNG's colour types


def encode_image(image, kind="PNG", **options):
    """The bytes of an image file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_chunk(kind, data, checksum=None):
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(samples, *chunks, colour=GRAY, bits=16):
    """A PNG of integer samples, height×width×channels."""
    height, width = samples.shape[:2]
    if bits < 8:
        binary = ["".join(f"{sample:0{bits}b}" for sample in row.ravel()) for row in samples]
        rows = [np.packbits([int(bit) for bit in row]).tobytes() for row in binary]
    else:
        rows = [row.astype(">u2" if bits == 16 else np.uint8).tobytes() for row in samples]
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    pixels = png_chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + png_chunk(b"IEND", b"")


def transparency_chunk(*samples):
    """The PNG chunk that makes the colour of these samples transparent."""
    return png_chunk(b"tRNS", struct.pack(f">{len(samples)}H", *samples))


def random_samples(channels, below=256, seed=0):
    return np.random.default_rng(seed).integers(0, below, (HEIGHT, WIDTH, channels))


def add_alpha(colours, below=256):
    """The colours with an alpha channel: transparent in rows 0 to 3, opaque in rows 4 to 7, random below."""
    alpha = random_samples(1, below, seed=1)
    alpha[:4], alpha[4:8] = 0, below - 1
    return np.concatenate([colours, alpha], axis=2)


def image_of(samples):
    return Image.fromarray(samples.astype(np.uint8).squeeze())


def composite(colours, alpha, background):
    """Colours over a background: float64, height×width×3, 0 to 255.

    Colours and alpha are from 0 to 1; the background has 8 bits.
    """
    return colours * 255 * alpha + (1 - alpha) * np.array(background)


def decode_picture(url):
    """The picture of a data: URL."""
    start = "data:image/png;base64,"
    assert url.startswith(start)
    return Image.open(io.BytesIO(b64decode(url.removeprefix(start))))
