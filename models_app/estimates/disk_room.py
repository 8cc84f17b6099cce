"""Whether trainings find enough disk space, besides what other trainings are still estimated to write."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings
from django.db.models import BigIntegerField, Count, F, Max, Q, QuerySet, Sum
from django.db.models.functions import Coalesce, Greatest

from digits_project.common.errors import DiskLimitReached
from digits_project.jobs import limits
from digits_project.jobs.models import ENDED, Status
from models_app.estimates.disk_space import DiskSpace, readable, space_of
from models_app.estimates.network_costs import NetworkCosts
from models_app.models import TrainedModel

NEAR = 2  # a warning says how much is left if the trainings need more than a part of this many
MEBIBYTE = 1 << 20
REMEDY = "Keep fewer snapshots (keep_snapshots, snapshot_interval), take a smaller network, or delete jobs."


class Shortage(NamedTuple):
    """Why trainings don't fit on the disk or into the memory, or that they nearly don't; each can be ""."""

    refusal: str = ""
    warning: str = ""


class Room(NamedTuple):
    """Bytes that further trainings can fill, and how a message says so."""

    bytes: int
    words: str


def free() -> int:
    """The bytes that trainings can fill: what is free, without DIGITS_MIN_FREE_DISK."""
    folder = settings.DIGITS_JOBS_DIR
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    return max(0, shutil.disk_usage(existing).free - settings.DIGITS_MIN_FREE_DISK * MEBIBYTE)


def still_written(models: QuerySet | None = None) -> int:
    """The bytes that waiting and running trainings are still estimated to write; `models`: those of these rows.

    Of each, the estimate of its folder without what is there already. Trainings on one dataset share the caches beside
    its records, so the largest counts, and none if one of them runs: it has written them, or will find them.
    """
    rows = (TrainedModel.objects.all() if models is None else models).exclude(status__in=ENDED)
    left = Greatest(F("estimated_bytes") - Coalesce("disk_bytes", 0), 0, output_field=BigIntegerField())
    running = Count("pk", filter=Q(status=Status.RUNNING))
    caches = Max("estimated_cache_bytes")
    datasets = rows.order_by().values("dataset").annotate(own=Sum(left), caches=caches, running=running)
    return sum(each["own"] + (0 if each["running"] else each["caches"]) for each in datasets)


def left_of_quota(owner: str) -> int | None:
    """The bytes that the owner's trainings can still write by his limit; None: he has none."""
    left = limits.disk_left(owner)
    return None if left is None else max(0, left - still_written(TrainedModel.objects.filter(owner=owner)))


def problem_of(models: Sequence[TrainedModel], spaces: Sequence[DiskSpace]) -> Shortage:
    """What is wrong with trainings, of one owner and on one dataset, that take these spaces together."""
    needed = sum(space.of_folder for space in spaces) + max(space.caches or 0 for space in spaces)
    room = min(_rooms(models[0].owner), key=lambda room: room.bytes)
    if needed * NEAR <= room.bytes:
        return Shortage()
    first = spaces[0]
    text = (
        f"{readable(needed)} of disk space are needed ({first.kept} snapshots of {readable(first.snapshot)}"
        f"{f' for each of {len(spaces)} models' if len(spaces) > 1 else ''}), and {room.words}. {REMEDY}"
    )
    return Shortage(refusal=text) if needed > room.bytes else Shortage(warning=text)


def refuse_without_room(models: Sequence[TrainedModel], costs: NetworkCosts) -> None:
    """Store what the trainings of these new models will write in their rows. Raises DiskLimitReached if the disk, or
    what their owner may use of it, would not hold it."""
    spaces = [space_of(model, costs) for model in models]
    if refusal := problem_of(models, spaces).refusal:
        raise DiskLimitReached(refusal)
    for model, space in zip(models, spaces, strict=True):
        TrainedModel.objects.filter(pk=model.pk).update(**space.columns())


def _rooms(owner: str) -> list[Room]:
    there, pending, reserve = free(), still_written(), settings.DIGITS_MIN_FREE_DISK
    kept_free = f" besides the {reserve:,} MiB that stay free (DIGITS_MIN_FREE_DISK)" if reserve else ""
    others = f", of which waiting and running trainings will still write {readable(pending)}" if pending else ""
    rooms = [Room(max(0, there - pending), f"{readable(there)} are free{kept_free}{others}")]
    if (left := left_of_quota(owner)) is not None:
        quota = f"{settings.DIGITS_MAX_OWNER_DISK:,} MiB that the jobs of {owner} may take (DIGITS_MAX_OWNER_DISK)"
        rooms.append(Room(left, f"{readable(left)} are left of the {quota}, without what waiting trainings will write"))
    return rooms
