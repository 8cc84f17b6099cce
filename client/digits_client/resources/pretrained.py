"""Pretrained models: networks with weights from which trainings start."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from digits_client.resources.jobs import Fact, Job, Resource
from digits_client.results import sequence


class Pretrained(Job):
    """A pretrained model; train it with models.train(dataset, method="pretrained", pretrained_networks=pretrained)."""

    RESOURCE = "pretrained"

    network = Fact(str)
    category_count = Fact(int)
    made_from = Fact(str)
    labels = Fact(sequence(str))
    taken_over = Fact(sequence(str))
    afresh = Fact(sequence(str))
    warnings = Fact(sequence(str))


class PretrainedModels(Resource[Pretrained]):
    """The pretrained models of the server."""

    KIND = Pretrained

    def installed(self) -> Sequence[dict[str, Any]]:
        """The weights that come with the server: their name for pretrained_networks, network, categories, licence."""
        found: Sequence[dict[str, Any]] = self._connection.json("GET", "/pretrained_models.json")["installed"]
        return found

    def from_weights(self, weights_file: str | os.PathLike[str], name: str | None = None, **fields: Any) -> Pretrained:
        """Make a pretrained model of a file of weights of this computer: a .safetensors, .pth, .caffemodel, .npz or
        .onnx. `fields` say for which network and images: standard_networks="lenet", image_type="grayscale",
        width=28."""
        path = Path(weights_file)
        form = {"job_name": name or path.stem, "weights_file": path, **fields}
        return self._created("/pretrained_models/new.json", form)

    def from_archive(self, archive: str | os.PathLike[str], name: str | None = None) -> Pretrained:
        """Make a pretrained model of an archive that Model.download() has written."""
        form = {"archive": Path(archive), "job_name": name}
        return self._created("/pretrained_models/upload_archive.json", form).refresh()
