"""The estimate of a training: its time, its disk space and its memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from digits_project.common import resources
from digits_project.common.errors import BadInput
from digits_project.jobs.models import Device, Status
from models_app.estimates.cost_model import seconds_of
from models_app.estimates.disk_room import free, left_of_quota, problem_of, still_written
from models_app.estimates.disk_space import DiskSpace, space_of
from models_app.estimates.memory_room import memory_shortage
from models_app.estimates.network_costs import FLOAT_BYTES, NetworkCosts, costs_of
from models_app.estimates.workload import solver_arrays, workload_of
from models_app.models import TrainedModel

NOT_DONE = "the dataset is not Done, so its size is not known"
MAX_LIKE, MAX_OTHERS = 5, 10  # earlier trainings that correct an estimate


@dataclass(frozen=True)
class Estimate:
    """An estimate. seconds: None if it can't be known; `basis` says why, or what it was computed from.

    free: bytes on the disk, of which other trainings will still write `pending`.
    owner_left: what is left of the owner's limit; None: there is none.
    """

    seconds: float | None
    basis: str
    disk: DiskSpace
    memory: int
    free: int
    pending: int
    owner_left: int | None

    def to_json(self) -> dict[str, Any]:
        """The estimate in responses."""
        return {
            "seconds": None if self.seconds is None else round(self.seconds, 1),
            "basis": self.basis,
            "disk_bytes": self.disk.total,
            "disk_free_bytes": self.free,
            "disk_pending_bytes": self.pending,
            "owner_disk_left_bytes": self.owner_left,
            "snapshots": self.disk.kept,
            "snapshot_bytes": self.disk.snapshot,
            "cache_bytes": self.disk.caches,
            "memory_bytes": self.memory,
        }


def model_costs(model: TrainedModel) -> NetworkCosts | None:
    """The costs of a model's network; None if it can't be built yet."""
    try:
        return costs_of(model.network(), model.hyperparameters.fine_tuning)
    except BadInput:
        return None


def estimate_of(model: TrainedModel, costs: NetworkCosts) -> Estimate:
    """The estimate for a model that is not saved, or waits."""
    plain = cpu_seconds(model, costs)
    seconds, basis = (None, NOT_DONE) if plain is None else _corrected(model, plain)
    numbers = costs.weights + costs.trained * (1 + solver_arrays(model.hyperparameters))  # with gradients and solver
    memory = costs.memory * model.batch_size + numbers * FLOAT_BYTES
    left = left_of_quota(model.owner)
    return Estimate(seconds, basis, space_of(model, costs), memory, free(), still_written(), left)


def remarks_on(models: Sequence[TrainedModel], costs: NetworkCosts | None) -> dict[str, list[str]]:
    """{"warnings": […], "refusals": […]} about models that are created together."""
    shortages = [problem_of(models, [space_of(model, costs) for model in models])] if costs else []
    shortages += [memory_shortage(model, costs) for model in models] if costs else []
    warnings = (shortage.warning for shortage in shortages if shortage.warning)
    refusals = (shortage.refusal for shortage in shortages if shortage.refusal)
    return {"warnings": [*models[0].warnings, *dict.fromkeys(warnings)], "refusals": list(dict.fromkeys(refusals))}


def cpu_seconds(model: TrainedModel, costs: NetworkCosts) -> float | None:
    """What the cost model says for the cores of this host, uncorrected; None if the dataset is not Done."""
    work = workload_of(model, costs.weights * FLOAT_BYTES, bool(costs.features))
    return None if work is None else seconds_of(costs, work, resources.usable_cores())


def _corrected(model: TrainedModel, plain: float) -> tuple[float | None, str]:
    """The seconds, corrected by the newest trainings of this server, and what they are based on."""
    ended = TrainedModel.objects.filter(
        status=Status.DONE, resumed_from=0, estimated_seconds__gt=0, stopped_epoch=None, ended_at__isnull=False
    ).order_by("-ended_at")
    like = ended.filter(standard_network=model.standard_network, train_layers=model.hyperparameters.train_layers)
    for rows, what in ((like[:MAX_LIKE], "of the same network "), (ended[:MAX_OTHERS], "")):
        times = rows.values_list("started_at", "ended_at", "estimated_seconds")
        ratios = [(end - start).total_seconds() / before for start, end, before in times if start and end and before]
        if ratios:
            earlier = "1 earlier training" if len(ratios) == 1 else f"{len(ratios)} earlier trainings"
            return plain * median(ratios), f"{earlier} {what}on this server"
    if Device.objects.filter(enabled=True, type=Device.Type.GPU).exists():
        return None, "no training on a GPU of this server has ended yet"
    return plain, f"the layers of the network, on {resources.usable_cores()} cores"
