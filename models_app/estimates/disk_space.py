"""The disk space that a training takes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from digits_project.jobs.models import Status
from models_app.estimates.network_costs import FLOAT_BYTES, NetworkCosts
from models_app.estimates.workload import SPLITS, epochs_on_images, features_of, solver_arrays
from models_app.models import TrainedModel
from models_app.training.data.pixels import MAX_BYTES


@dataclass(frozen=True)
class DiskSpace:
    """Bytes of a training.

    snapshot: of one snapshot without the solver's memory. kept: how many are left at the end.
    newest: what the newest snapshot has besides, the solver's memory.
    caches: of decoded pixels, which later trainings on the dataset use too; None: the dataset is not Done.
    """

    snapshot: int
    kept: int
    newest: int
    caches: int | None

    @property
    def total(self) -> int:
        return self.snapshot * self.kept + self.newest + (self.caches or 0)

    @property
    def of_folder(self) -> int:
        """The largest size of the model's folder: while a snapshot is written, the one before it is still there."""
        return self.snapshot * (self.kept + 1) + 2 * self.newest

    def columns(self) -> dict[str, int]:
        """The columns of the model's row, by which later trainings know what this one will write."""
        return {"estimated_bytes": self.of_folder, "estimated_cache_bytes": self.caches or 0}


def space_of(model: TrainedModel, costs: NetworkCosts) -> DiskSpace:
    """The disk space that the training of a model takes."""
    return DiskSpace(
        snapshot=costs.weights * FLOAT_BYTES,
        kept=model.snapshots_to_keep,
        newest=costs.trained * solver_arrays(model.hyperparameters) * FLOAT_BYTES,
        caches=_caches(model, costs),
    )


def _caches(model: TrainedModel, costs: NetworkCosts) -> int | None:
    """What the training keeps beside the records of the dataset: decoded pixels, if no training has decoded them yet,
    and features. None if the dataset is not Done."""
    dataset = model.dataset
    if dataset.status != Status.DONE:
        return None
    features = features_of(model) * costs.features * FLOAT_BYTES
    if not epochs_on_images(model.hyperparameters, bool(costs.features)):
        return features
    image = math.prod(dataset.image_shape) + math.prod(dataset.label_shape) * FLOAT_BYTES
    sizes = {split: dataset.entries(split) * image for split in SPLITS}
    decoded = [size for split, size in sizes.items() if not (dataset.directory / f"{split}.pixels").exists()]
    return features + sum(size for size in decoded if size <= MAX_BYTES)


def readable(size: int) -> str:
    """A number of bytes for people, with three digits."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6)):
        if size >= factor:
            return f"{size / factor:.3g} {unit}"
    return f"{size / 1000:.3g} kB"
