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
from models_app.trainer_process import TrainerDied, TrainerFault
from models_app.training.config import TrainConfig

log = logging.getLogger(__name__)

WORKERS_SECONDS = 1.0  # how often a training that waits for ranks looks for their workers
SILENT_SECONDS = 10.0  # without an event, of which there is one a second, until a running training looks for them too
ABSENT_SECONDS = 10.0  # how long they must be missing then; if Redis lost its data, they come back within five seconds


def invite(model: TrainedModel, configs: Sequence[TrainConfig], hosts: Sequence[Sequence[Device]]) -> None:
    """Write the configurations of the further hosts, and queue a task for a worker of each."""
    for number, (config, held) in enumerate(zip(configs, hosts, strict=False)):
        config_file(model, number).write_text(config.to_json())
        if number:
            queues.enqueue_join(held[0].queue_name, model.JOIN_TASK, model.pk, model.attempt, number)


class FurtherHosts:
    """Checks that the further hosts of a training have workers: until all ranks have come, and later while the training
    sends nothing.

    A host that loses its power closes no connection, so its ranks would be missed only after DIGITS_RANK_TIMEOUT; its
    workers' heartbeats expire in ten seconds. A training that goes on needs no worker: Redis can be down, or empty.
    """

    def __init__(self, hosts: Sequence[Sequence[Device]]):
        self._queues = {held[0].queue_name for held in hosts[1:]}
        self._have_come = False
        self._heard = self._looked = self._complete = time.monotonic()

    def check(self, event: dict | None) -> None:
        """Call it with each event of the trainer, and None without one. Raises Stopped before the ranks have come, so
        that the job gets other devices; later TrainerDied."""
        now = time.monotonic()
        if event:
            self._have_come, self._heard = True, now
        if not self._queues or now - self._looked < WORKERS_SECONDS:
            return
        self._looked = now
        if self._have_come and now - self._heard < SILENT_SECONDS:
            self._complete = now
            return
        with suppress(RedisError):
            self._check_workers(now)

    def _check_workers(self, now: float) -> None:
        missing = ", ".join(sorted(self._queues - queues.live_workers().keys()))
        if not missing:
            self._complete = now
        elif not self._have_come:
            log.warning("A training waits for ranks of %s, which has no worker any more", missing)
            raise Stopped
        elif now - self._complete > ABSENT_SECONDS:
            silent = f"sent nothing for {now - self._heard:.0f} s, and there is no worker at {missing} any more"
            raise TrainerDied(f"The training {silent}: a further host of it is gone.")


def join(job_id: str, attempt: int) -> None:
    """Run the ranks of this host as long as the model is Running in this attempt. The model's row is not written: the
    process that runs the training notices if these ranks end, and writes what becomes of it."""
    model = TrainedModel.objects.filter(pk=job_id).first()
    number = _number_of_host(model) if model else 0
    if model is None or not number:
        log.info("%s has no devices of this host any more", job_id)
        return
    watch = _Watch(job_id, attempt)
    log_file = model.directory / f"train-{number}.log"
    try:
        with trainer_process.events(config_file(model, number), log_file, is_reporting=False) as events:
            for _ in events:
                if not watch.goes_on():
                    return
    except (BadInput, Failed, TrainerDied, TrainerFault) as end:
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
