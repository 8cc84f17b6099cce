"""The network whose features the report compares, run by ONNX Runtime. An app that has networks registers it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from PIL import Image

from digits_project.common.errors import BadInput
from digits_project.common.onnx_runtime import open_session


@dataclass(frozen=True)
class FeatureNetwork:
    """A network that computes `size` features of an RGB image of side×side pixels, 0 to 255, N×3×H×W.

    writer: "module:function". The function writes the network as an ONNX file and raises BadInput if its weights are
    not installed. The module is imported only then, because the web process must not load what writes ONNX files.
    """

    name: str
    title: str
    side: int
    size: int
    writer: str

    def open(self) -> LoadedNetwork:
        """Load the network. Raises BadInput if its weights are not installed."""
        module, _, function = self.writer.partition(":")
        write: Callable[[Path, int], None] = getattr(import_module(module), function)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "backbone.onnx"
            write(path, self.side)
            return LoadedNetwork(path, self)


class LoadedNetwork:
    """A loaded network. A run takes one thread; several threads can run it at the same time."""

    def __init__(self, path: Path, network: FeatureNetwork) -> None:
        self.network = network
        self._session = open_session(path, threads=1)
        self._source = self._session.get_inputs()[0].name

    def features(self, images: np.ndarray) -> np.ndarray:
        """float32 N×size, of images as `prepared` makes them, N×3×side×side."""
        [found] = self._session.run(None, {self._source: images.astype(np.float32)})
        return found.reshape(len(images), -1)

    def prepared(self, pixels: np.ndarray) -> np.ndarray:
        """An image, uint8 H×W×C, at the network's size, uint8 3×side×side."""
        shown = pixels[:, :, 0] if pixels.shape[2] != 3 else pixels
        side = self.network.side
        image = Image.fromarray(np.ascontiguousarray(shown)).convert("RGB")
        return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR)).transpose(2, 0, 1)


_registered: list[FeatureNetwork] = []


def register(network: FeatureNetwork) -> None:
    """Let reports use this network, in place of one that was registered before."""
    _registered[:] = [network]


def open_network() -> tuple[LoadedNetwork | None, str]:
    """The registered network, loaded; without one None, and the reason."""
    if not _registered:
        return None, "no network for features is registered"
    try:
        return _registered[0].open(), ""
    except BadInput as missing:
        return None, str(missing)
