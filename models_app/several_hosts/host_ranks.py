"""What the further hosts of a training do: they run their ranks while the first host runs the training."""

import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from django.conf import settings
from django.db import InterfaceError, OperationalError, connections
from redis.exceptions import RedisError

from digits_project.common.errors import BadInput, Failed
from digits_project.jobs.execution.runner import LOOK_SECONDS, JobProgress, Stopped
from digits_project.jobs.models import Device, Status
from digits_project.jobs.scheduling import devices, queues
from models_app import trainer_process
from models_app.models import TrainedModel
from models_app.several_hosts.rank_plan import config_file
from models_app.trainer_process import TrainerFault
from models_app.training.config import TrainConfig

log = logging.getLogger(__name__)

WORKERS_SECONDS = 1.0  # how often a training that waits for ranks looks for their workers


def invite(model: TrainedModel, configs: Sequence[TrainConfig], hosts: Sequence[Sequence[Device]]) -> None:
    """Write the configurations of the further hosts, and queue a task for a worker of each."""
    for number, (config, held) in enumerate(zip(configs, hosts, strict=False)):
        config_file(model, number).write_text(config.to_json())
        if number:
            queues.enqueue_join(held[0].queue_name, model.JOIN_TASK, model.pk, model.attempt, number)


class Arrivals:
    """Checks that the further hosts of a training have workers, until the first event shows that all ranks have come.

    A worker that was killed seems to live for some seconds, so that a job can be given devices of a host that is gone.
    """

    def __init__(self, hosts: Sequence[Sequence[Device]]):
        self._awaited = {held[0].queue_name for held in hosts[1:]}
        self._looked = time.monotonic()

    def check(self, event: dict | None) -> None:
        """Call it with each event of the trainer, and None without one. Raises Stopped, so that the job gets other
        devices."""
        if event:
            self._awaited = set()
        if not self._awaited or time.monotonic() - self._looked < WORKERS_SECONDS:
            return
        self._looked = time.monotonic()
        with suppress(RedisError):
            if missing := self._awaited - queues.live_workers().keys():
                log.warning("A training waits for ranks of %s, which has no worker any more", ", ".join(missing))
                raise Stopped


def join(job_id: str, attempt: int) -> None:
    """Run the ranks of this host as long as the model is Running in this attempt. The model's row is not written: the
    process that runs the training notices if these ranks end, and writes what becomes of it."""
    model = TrainedModel.objects.filter(pk=job_id).first()
    number = _number_of_host(model) if model else 0
    if model is None or not number:
        log.info("%s has no devices of this host any more", job_id)
        return
    watch = _Watch(job_id, attempt)
    try:
        with trainer_process.events(config_file(model, number), model.directory / f"train-{number}.log") as events:
            for _ in events:
                if not watch.goes_on():
                    return
    except (BadInput, Failed, TrainerFault) as end:
        log.warning("The ranks of this host ended, which %s uses: %s", model, end)


def _number_of_host(model: TrainedModel) -> int:
    """The number of this host among those of the training; 0: it is none of the further ones."""
    names = [held[0].host for held in devices.hosts_of(model)]
    return names.index(settings.DIGITS_HOST_NAME) if settings.DIGITS_HOST_NAME in names else 0


class _Watch:
    """Checks every LOOK_SECONDS whether an attempt still runs."""

    def __init__(self, job_id: str, attempt: int):
        self._rows = TrainedModel.objects.filter(pk=job_id, status=Status.RUNNING, abort_requested_at=None)
        self._attempt = attempt
        self._looked = float("-inf")
        self._goes_on = True

    def goes_on(self) -> bool:
        """Whether it does; also while the database can't be reached, because the training goes on then too."""
        if JobProgress.stop_requested:
            return False
        if time.monotonic() - self._looked >= LOOK_SECONDS:
            self._looked = time.monotonic()
            try:
                row = self._rows.only("status_history").first()
                self._goes_on = row is not None and row.attempt == self._attempt
            except (OperationalError, InterfaceError) as away:
                log.warning("The database can't be reached, the ranks continue: %s", away)
                connections.close_all()
        return self._goes_on
