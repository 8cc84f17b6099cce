"""Decodes each HEIC file in a process of its own.

One changed byte in a file's metadata can crash the process that opens it (pi-heif 1.4, libheif 1.23). The process has
limits on memory and time, none of the server's environment variables, and only that file.
"""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from importlib.util import find_spec

from PIL import Image

from datasets.imagedb.images.boxes import BadBoxes, Boxes
from datasets.imagedb.images.formats import BadImage
from datasets.imagedb.images.size_limits import check_size

MAX_DECODER_MIB = 1536
MAX_DECODER_SECONDS = 60
_MODES = ("L", "LA", "La", "RGB", "RGBA", "RGBa", "I;16")
_ENVIRONMENT = ("LD_LIBRARY_PATH", "SYSTEMROOT")
_MAX_HEADER, _HEADER_END = 400, b"\n"


def is_installed() -> bool:
    """Whether the decoder is installed. A downloaded model may have only NumPy, Pillow and ONNX Runtime."""
    return find_spec("pi_heif") is not None


def announced_size(data: bytes) -> tuple[int, int]:
    """(width, height) of the largest image in a HEIC file. Raises BadImage."""
    try:
        return Boxes(data).largest_size()
    except BadBoxes as error:
        raise BadImage(f"damaged HEIC: {error}") from error


def decoded(data: bytes) -> Image.Image:
    """The main image of a HEIC file, upright. Raises BadImage."""
    program = inspect.getsource(_decode) + f"\n_decode({MAX_DECODER_MIB << 20}, {MAX_DECODER_SECONDS})\n"
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-c", program],
            input=data,
            capture_output=True,
            env=environment,
            timeout=2 * MAX_DECODER_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise BadImage(f"damaged HEIC: it takes more than {2 * MAX_DECODER_SECONDS} seconds") from error
    header = done.stdout[:_MAX_HEADER].partition(_HEADER_END)[0]
    words = header.decode("ascii", "replace").split(" ", 3)
    if words[0] == "refused":
        raise BadImage(f"damaged HEIC: {header.decode('utf-8', 'replace')[8:]}")
    if done.returncode or len(words) != 4:
        raise BadImage("damaged HEIC: its decoder crashed")
    mode, width, height = words[0], int(words[1]), int(words[2])
    if mode not in _MODES:
        raise BadImage(f"HEIC with samples of type {mode} is not supported: save it as PNG or JPEG")
    check_size(width, height)
    return Image.frombytes(mode, (width, height), memoryview(done.stdout)[len(header) + 1 :])


def _decode(most_bytes, most_seconds):
    """Decode a HEIC, from standard input to a header and pixels on standard output.

    It runs in a process of its own, which gets this function as source text.
    """
    import sys

    try:
        import resource
    except ImportError:  # on Windows, where a downloaded model may run
        pass
    else:
        resource.setrlimit(resource.RLIMIT_AS, (most_bytes, most_bytes))
        resource.setrlimit(resource.RLIMIT_CPU, (most_seconds, most_seconds))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    import pi_heif

    for option in ("THUMBNAILS", "DEPTH_IMAGES", "AUX_IMAGES"):  # not needed
        setattr(pi_heif.options, option, False)
    pi_heif.options.DECODE_THREADS = 1  # a build already has a process for each core
    try:
        file = pi_heif.open_heif(sys.stdin.buffer.read(), convert_hdr_to_8bit=True)
        picture = file[file.primary_index]
        pixels = picture.data
    except Exception as error:  # noqa: BLE001 - the calling process reports it, whatever it is
        reason = "it needs too much memory" if isinstance(error, MemoryError) else " ".join(str(error).split())
        sys.stdout.buffer.write(b"refused " + reason.encode("utf-8", "replace")[:300] + b"\n")
        return
    width, height = picture.size
    sys.stdout.buffer.write(f"{picture.mode} {width} {height} pixels\n".encode())
    sys.stdout.buffer.write(pixels)
