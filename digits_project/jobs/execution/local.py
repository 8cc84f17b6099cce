"""Runs waiting jobs without workers, queues or Redis, in a child of the calling process (`--here`)."""

import multiprocessing
import os
from collections.abc import Sequence
from multiprocessing.process import BaseProcess

from django.db import connections
from django.utils.module_loading import import_string

from digits_project.common.processes import die_with
from digits_project.jobs.execution.lost_process import handle_lost_process
from digits_project.jobs.execution.runner import listen_to_stop
from digits_project.jobs.models import Job, Status
from digits_project.jobs.process_identity import Process
from digits_project.jobs.scheduling.dispatch import lease_here


class LocalRunner:
    """Runs one job at a time, in a child that dies with this process. Ctrl-C in the terminal reaches neither the child
    nor its trainer."""

    def __init__(self):
        self._child: BaseProcess | None = None

    def tend(self, jobs: Sequence[Job]) -> None:
        """Start one of the jobs that can run, if none is running."""
        if self._child is not None and self._child.is_alive():
            return
        if self._child is not None:
            self._handle_dead_child(self._child, jobs)
        job = next((job for job in (*jobs, *_started_by(jobs)) if _may_run(job)), None)
        if job:
            connections.close_all()  # a forked connection would be shared
            arguments = (job.TASK, job.pk, os.getpid())
            child = multiprocessing.get_context("fork").Process(target=_work, args=arguments)
            child.start()
            self._child = child

    def end(self) -> None:
        """Wait until the child has exited; after its job's end a training's child creates an evaluation."""
        if self._child is not None:
            self._child.join()

    def _handle_dead_child(self, child: BaseProcess, jobs: Sequence[Job]) -> None:
        """Handle the job of a child that died, so that it does not stay Running."""
        for job in (*jobs, *_started_by(jobs)):
            if job.status == Status.RUNNING and Process.parse(job.worker).pid == child.pid:
                handle_lost_process(job, f"The process that ran this job ended with status {child.exitcode}.")
        self._child = None


def _started_by(jobs: Sequence[Job]) -> list[Job]:
    return [started for job in jobs for started in job.started_jobs()]


def _may_run(job: Job) -> bool:
    if job.status != Status.WAITING or not type(job).ready().filter(pk=job.pk).exists():
        return False
    return job.QUEUE != "train" or bool(lease_here(job))


def _work(task: str, job_id: str, parent: int) -> None:
    """In the child: run the task, as a worker's work-horse does.

    In a session of its own, because the terminal sends Ctrl-C to the command and all its descendants, and a trainer
    that ends by it counts as lost."""
    os.setsid()
    die_with(parent)
    listen_to_stop()
    import_string(task)(job_id)
