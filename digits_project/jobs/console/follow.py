"""Follows jobs to their end: a bar on a terminal, else plain lines. Ctrl-C aborts the jobs."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from django.core.exceptions import ObjectDoesNotExist

from digits_project.common import errors
from digits_project.common.terminal import Screen
from digits_project.jobs import services
from digits_project.jobs.console.command import Exit
from digits_project.jobs.execution.local import LocalRunner
from digits_project.jobs.execution.runner import patiently
from digits_project.jobs.models import Job, Status

LOOK_SECONDS = 0.25
STEPS = 10  # of a job's progress reported without a terminal
FOLLOWED = ("status", "progress", "error", "worker", "ended_at", "abort_requested_at")


class Interrupts:
    """Within the block the first Ctrl-C (or SIGTERM) only sets `asked`. A further one ends the process, after it has
    called `before_leaving`: at once, or, while the jobs are not aborted yet, as soon as `may_leave` is called. One more
    ends it in any case."""

    def __init__(self, before_leaving: Callable[[], None] = lambda: None):
        self._before_leaving = before_leaving
        self._signals = 0
        self._may_leave = False
        self._former: dict = {}

    @property
    def asked(self) -> bool:
        return self._signals > 0

    def __enter__(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self._former[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception):
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def may_leave(self) -> None:
        """The jobs are aborted: a further Ctrl-C, also one that came before this call, ends the process."""
        self._may_leave = True
        self._leave_if_asked_again()

    def _note(self, number, frame):
        self._signals += 1
        self._leave_if_asked_again()

    def _leave_if_asked_again(self) -> None:
        if self._signals > (1 if self._may_leave else 2):
            try:
                self._before_leaving()
            finally:
                os._exit(Exit.INTERRUPTED)


def follow(jobs: Sequence[Job], screen: Screen, interrupts: Interrupts, here: bool = False) -> Exit:
    """Wait until every job has ended. Returns FAILED if one is not Done, INTERRUPTED if Ctrl-C aborted them.

    `here`: this process runs jobs that no worker has taken. Raises Gone.
    """
    began, reported = time.monotonic(), False
    runner = LocalRunner() if here else None
    while not all(job.has_ended for job in jobs):
        if interrupts.asked and not reported:
            reported = True
            screen.line("Aborting. A second Ctrl-C leaves at once; the jobs then stop by themselves.")
            abort_all(jobs)
            interrupts.may_leave()
        if runner:
            runner.tend(jobs)
        time.sleep(LOOK_SECONDS)
        refresh(jobs)
        show(jobs, screen, began)
    if runner:
        runner.end()
    for job in jobs:
        screen.line(f"{job.name} ({job.pk}) is {job.status}" + (f": {job.error}" if job.error else ""))
    if reported:
        return Exit.INTERRUPTED
    return Exit.DONE if all(job.status == Status.DONE for job in jobs) else Exit.FAILED


def abort_all(jobs: Sequence[Job]) -> None:
    for job in jobs:
        with suppress(errors.Refused, errors.Gone):  # the job has ended
            services.abort(job)


def refresh(jobs: Sequence[Job]) -> None:
    """Read the jobs again, with retries if the database can't be reached. Raises Gone."""
    for job in jobs:
        try:
            patiently(partial(job.refresh_from_db, fields=FOLLOWED))
        except ObjectDoesNotExist:
            raise errors.Gone from None


def show(jobs: Sequence[Job], screen: Screen, began: float) -> None:
    """Show the progress of the jobs: as a bar on a terminal, elsewhere as a line for each tenth."""
    fraction = sum(1.0 if job.has_ended else job.progress for job in jobs) / len(jobs)
    status = next((job.status for job in jobs if job.status == Status.RUNNING), jobs[-1].status)
    if len(jobs) > 1:
        status = f"{sum(job.has_ended for job in jobs)} of {len(jobs)} jobs have ended, {status}"
    if not screen.live and 0 < fraction < 1:
        status = f"{status} {100 // STEPS * int(fraction * STEPS)} %"
    screen.progress(status, fraction, began)
