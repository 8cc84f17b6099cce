"""Functions that damage a file in the ways in which disks and people do."""

import os
import shutil
from pathlib import Path


def delete(path: Path) -> None:
    path.unlink()


def delete_folder(path: Path) -> None:
    """Delete the folder of the file."""
    shutil.rmtree(path.parent)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def cut_in_half(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip_bit(path: Path) -> None:
    """Flip one bit in the middle of the file and restore its modification time."""
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(before.st_size // 2)
        byte = file.read(1)[0]
        file.seek(before.st_size // 2)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


DAMAGES = [delete, empty, cut_in_half, flip_bit]
