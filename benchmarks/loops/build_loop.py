"""One build of an image database, in this process or, as `python -m benchmarks.loops.build_loop`, in a new one."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from datasets.imagedb import FolderSource, Spec, build
from digits_project.common.resources import usable_cores


class Setting(NamedTuple):
    """What is built: images of size×size pixels in a mode of Pillow, and the encoding of the records."""

    size: int
    mode: str
    encoding: str


def build_once(folder: Path, setting: Setting) -> None:
    """Build the database of a folder, and remove it."""
    channels, workers = len(setting.mode), usable_cores()
    sizes = {"width": setting.size, "height": setting.size, "channels": channels}
    with tempfile.TemporaryDirectory() as directory:
        spec = Spec(FolderSource(folder), encoding=setting.encoding, workers=workers, **sizes)
        build(spec, Path(directory), lambda fraction: None)


if __name__ == "__main__":
    build_once(Path(sys.argv[1]), Setting(int(sys.argv[2]), *sys.argv[3:]))
