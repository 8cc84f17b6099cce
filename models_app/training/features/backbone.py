"""The backbone as ONNX Runtime runs it: computes the features of images on all cores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from digits_project.common.onnx_runtime import open_session
from models_app.networks import Network
from models_app.networks.export.network_onnx import write_onnx
from models_app.training.engines import exportable
from models_app.training.features.division import NetworkParts
from models_app.training.snapshots.temporary_paths import partial

FORMAT = 1  # raise it when the same network and images no longer have the same features


class Backbone:
    """The layers below the head, with their weights. `mean` and `scale` are those of EngineConfig, `whitening` is its
    aug_whitening."""

    def __init__(
        self,
        parts: NetworkParts,
        weights: Mapping[str, np.ndarray],
        mean: np.ndarray | None,
        scale: np.ndarray | None,
        whitening: bool = False,
    ) -> None:
        self.size = parts.size
        self._network = parts.backbone
        self._weights = {weight.name: weights[weight.name] for weight in self._network.weights()}
        self._mean, self._scale, self._whitening = mean, scale, whitening

    @property
    def identity(self) -> dict:
        """Values that differ between backbones with other features of the same image."""
        whitened = {"whitening": True} if self._whitening else {}
        return {"format": FORMAT, "size": self.size, "backbone": self._digest, **whitened}

    @cached_property
    def _digest(self) -> str:
        found = hashlib.sha256(json.dumps(_structure(self._network), sort_keys=True).encode())
        for name, array in {**self._weights, ":mean": self._mean, ":scale": self._scale}.items():
            numbers = np.ascontiguousarray(array if array is not None else [], "<f4")
            found.update(f"{name}{numbers.shape}".encode())
            found.update(numbers.data)
        return found.hexdigest()

    def open(self, folder: Path) -> RunningBackbone:
        """Load the backbone; its model file lies in `folder` meanwhile."""
        folder.mkdir(parents=True, exist_ok=True)
        with partial(folder / ".backbone.onnx") as path:
            self.write(path)
            return RunningBackbone(path)

    def write(self, path: Path) -> None:
        """Write the backbone as an ONNX file."""
        write_onnx(
            exportable(self._network),
            self._weights,
            path,
            self._mean,
            labels=(),
            scale=self._scale,
            whitening=self._whitening,
        )


class RunningBackbone:
    """A loaded backbone. A run takes one thread; several threads can run it at the same time."""

    def __init__(self, model: Path) -> None:
        self._session = open_session(model, threads=1)
        self._source = self._session.get_inputs()[0].name

    def run(self, images: np.ndarray) -> np.ndarray:
        """The features, float32 n×size, of images as the network takes them, uint8 n×C×H×W."""
        [features] = self._session.run(None, {self._source: images.astype(np.float32)})
        return features


def _structure(network: Network) -> dict:
    """The network as JSON values, without its name."""
    return {name: value for name, value in network.to_dict().items() if name != "name"}
