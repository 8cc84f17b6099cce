"""Follows jobs to their end: a bar on a terminal, else plain lines. Ctrl-C aborts the jobs."""

import os
import signal
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import CommandError

from digits_project.common import errors
from digits_project.common.terminal import Screen
from digits_project.jobs import services
from digits_project.jobs.console.command import ConsoleCommand, Exit
from digits_project.jobs.execution.local import LocalRunner
from digits_project.jobs.execution.runner import patiently
from digits_project.jobs.models import Job, Status
from digits_project.jobs.overview import seconds_left

LOOK_SECONDS = 0.25
STEPS = 10  # of a job's progress reported without a terminal
FOLLOWED = (
    *("status", "progress", "error", "worker", "started_at", "ended_at", "abort_requested_at"),
    "resumed_from",  # of trainings
)


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
    progress, reported = ProgressDisplay(screen), False
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
        progress.show(jobs)
    if runner:
        runner.end()
    for job in jobs:
        screen.line(f"{job.name} ({job.pk}) is {job.status}" + (f": {job.error}" if job.error else ""))
    if reported:
        return Exit.INTERRUPTED
    return Exit.DONE if all(job.status == Status.DONE for job in jobs) else Exit.FAILED


def ask_to_end(command: ConsoleCommand, jobs: Sequence[Job], ask: Callable[[Any], object], wait: bool) -> list[Job]:
    """Ask each job to end; `ask` raises Refused for one that does not. Then wait for the others, if `wait`, and print
    all as JSON, if that was asked for. Returns the others. Raises CommandError with the reasons of the refusals."""
    asked, refused = [], []
    for job in jobs:
        try:
            ask(job)
            asked.append(job)
        except errors.Refused as why:  # go on with the other jobs
            refused.append(str(why))
    if asked and wait:
        with Interrupts(command.screen.clear_bar) as interrupts:
            follow(asked, command.screen, interrupts)
    if command.as_json:
        command.print_json([{"id": job.pk, "status": job.status} for job in jobs])
    if refused:
        raise CommandError("\n".join(refused), returncode=Exit.FAILED)
    return asked


def abort_all(jobs: Sequence[Job]) -> None:
    for job in jobs:
        with suppress(errors.Refused, errors.Gone):  # the job has ended
            services.abort(job)


def refresh(jobs: Sequence[Job]) -> None:
    """Read the jobs again, with retries if the database can't be reached. Raises Gone."""
    for job in jobs:
        try:
            patiently(partial(job.refresh_from_db, fields=[name for name in FOLLOWED if hasattr(job, name)]))
        except ObjectDoesNotExist:
            raise errors.Gone from None


class ProgressDisplay:
    """Shows how far jobs are, on one line: a bar on a terminal, elsewhere a line for each milestone, such as an epoch,
    or for each tenth of a job that has none."""

    def __init__(self, screen: Screen):
        self._screen = screen
        self._began = time.monotonic()
        self._status = ""  # the last that was printed without a terminal
        self._milestones: defaultdict[str, list[str]] = defaultdict(list)  # those that were seen, by the job's id

    def show(self, jobs: Sequence[Job]) -> None:
        """Show the jobs as they are now."""
        fraction = sum(1.0 if job.has_ended else job.progress for job in jobs) / len(jobs)
        open_jobs = [job for job in jobs if not job.has_ended]
        shown = next((job for job in open_jobs if job.status == Status.RUNNING), (open_jobs or jobs)[0])
        stops = bool(shown.abort_requested_at) and not shown.has_ended
        status = "Aborting" if stops else str(shown.status)
        if len(jobs) > 1:
            status = f"{len(jobs) - len(open_jobs)} of {len(jobs)} jobs have ended, {status}"
        left = "" if stops else _left(seconds_left(shown))
        news = {job.pk: self._news(job) for job in jobs}
        seen = self._milestones[shown.pk]
        if self._screen.live:
            details = [*([] if stops or shown.has_ended else seen[-1:]), left]
            self._screen.progress(status, fraction, self._began, ", ".join(filter(None, details)))
            return
        for job in jobs:
            name = f"{job.name}: " if len(jobs) > 1 else ""
            for number, milestone in enumerate(news[job.pk], 1):
                is_last = job is shown and number == len(news[job.pk])
                self._screen.line(", ".join(filter(None, [f"{name}{milestone}", left if is_last else ""])))
        if seen and status == self._status:
            return  # the milestones say more than tenths
        self._status = status
        tenths = 0 < fraction < 1 and not seen and not stops
        shown_status = f"{status}, {100 // STEPS * int(fraction * STEPS)} %" if tenths else status
        self._screen.progress(shown_status, fraction, self._began)

    def _news(self, job: Job) -> Sequence[str]:
        """The milestones of a job that it has reached since the last call."""
        seen = self._milestones[job.pk]
        news = job.milestones(len(seen)) if job.started_at else ()
        seen += news
        return news


def _left(seconds: float | None) -> str:
    """The remaining time in few letters; "" if it is unknown."""
    if seconds is None:
        return ""
    if seconds < 100:
        return f"{seconds:.0f} s left"
    minutes = round(seconds / 60)
    return f"{minutes} min left" if minutes < 100 else f"{minutes // 60} h left"
