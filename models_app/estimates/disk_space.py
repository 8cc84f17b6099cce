"""The disk space that trainings take, and whether there is enough of it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from django.conf import settings

from digits_project.common.errors import DiskLimitReached
from digits_project.jobs.models import Status
from models_app.estimates.network_costs import FLOAT_BYTES, NetworkCosts
from models_app.estimates.workload import SPLITS, epochs_on_images, features_of, solver_arrays
from models_app.models import TrainedModel
from models_app.training.data.pixels import MAX_BYTES

NEAR = 2  # a warning says how much is left if the trainings need more than a part of this many
MEBIBYTE = 1 << 20


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
    def needed(self) -> int:
        """While a snapshot is written, the one before it is still there."""
        return self.total + self.snapshot + self.newest


def space_of(model: TrainedModel, costs: NetworkCosts) -> DiskSpace:
    """The disk space that the training of a model takes."""
    return DiskSpace(
        snapshot=costs.weights * FLOAT_BYTES,
        kept=model.snapshots_to_keep,
        newest=costs.trained * solver_arrays(model.hyperparameters) * FLOAT_BYTES,
        caches=_caches(model, costs),
    )


def free() -> int:
    """The bytes that trainings can fill: what is free, without DIGITS_MIN_FREE_DISK."""
    folder = settings.DIGITS_JOBS_DIR
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return max(0, shutil.disk_usage(existing).free - settings.DIGITS_MIN_FREE_DISK * MEBIBYTE)


class DiskProblem(NamedTuple):
    """Why trainings don't fit on the disk, or that they nearly don't; each can be ""."""

    refusal: str = ""
    warning: str = ""


def problem_of(spaces: Sequence[DiskSpace]) -> DiskProblem:
    """What is wrong with trainings that would take this space together."""
    needed, there = sum(space.needed for space in spaces), free()
    if needed * NEAR <= there:
        return DiskProblem()
    first = spaces[0]
    numbers = (
        f"{readable(needed)} of disk space are needed ({first.kept} snapshots of {readable(first.snapshot)}"
        f"{f' for each of {len(spaces)} models' if len(spaces) > 1 else ''}), and {readable(there)} are free"
    )
    reserve = settings.DIGITS_MIN_FREE_DISK
    kept_free = f" besides the {reserve:,} MiB that stay free (DIGITS_MIN_FREE_DISK)" if reserve else ""
    remedy = "Keep fewer snapshots (keep_snapshots, snapshot_interval), take a smaller network, or delete jobs."
    text = f"{numbers}{kept_free}. {remedy}"
    return DiskProblem(refusal=text) if needed > there else DiskProblem(warning=text)


def refuse_without_room(models: Sequence[TrainedModel], costs: NetworkCosts) -> None:
    """Raise DiskLimitReached if the disk would not hold what the trainings of these models write."""
    if refusal := problem_of([space_of(model, costs) for model in models]).refusal:
        raise DiskLimitReached(refusal)


def _caches(model: TrainedModel, costs: NetworkCosts) -> int | None:
    """What the training keeps beside the records of the dataset: decoded pixels, if no training has decoded them yet,
    and features. None if the dataset is not Done."""
    dataset = model.dataset
    if dataset.status != Status.DONE:
        return None
    features = features_of(model) * costs.features * FLOAT_BYTES
    if not epochs_on_images(model.hyperparameters):
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
