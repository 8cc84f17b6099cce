"""Small files of images of every kind, written byte by byte where Pillow can't write them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

HEIGHT, WIDTH = 16, 24
GRAY, RGB, GRAY_ALPHA, RGBA = 0, 2, 4, 6  # PNG's numbers for them


def saved(image, kind="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind, data, checksum=None):
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def png(samples, *chunks, colour=GRAY, bits=16):
    """A PNG of whole numbers, height×width×channels."""
    height, width = samples.shape[:2]
    if bits < 8:
        binary = ["".join(f"{sample:0{bits}b}" for sample in row.ravel()) for row in samples]
        rows = [np.packbits([int(bit) for bit in row]).tobytes() for row in binary]
    else:
        rows = [row.astype(">u2" if bits == 16 else np.uint8).tobytes() for row in samples]
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + pixels + chunk(b"IEND", b"")


def transparent(*samples):
    """The chunk that makes a colour transparent."""
    return chunk(b"tRNS", struct.pack(f">{len(samples)}H", *samples))


def random(channels, below=256, seed=0):
    return np.random.default_rng(seed).integers(0, below, (HEIGHT, WIDTH, channels))


def with_alpha(colours, below=256):
    """The same with an alpha channel: wholly transparent at the top, opaque below it, then anything."""
    alpha = random(1, below, seed=1)
    alpha[:4], alpha[4:8] = 0, below - 1
    return np.concatenate([colours, alpha], axis=2)


def image(samples):
    return Image.fromarray(samples.astype(np.uint8).squeeze())


def flat(colours, alpha, background):
    """What a viewer shows: float64, height×width×3; colours and alpha are from 0 to 1, the background 8-bit."""
    return colours * 255 * alpha + (1 - alpha) * np.array(background)
