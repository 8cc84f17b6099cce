"""The base class of commands that create jobs: the owner, a check that workers listen, and waiting for the end."""

from django.core.management.base import CommandError
from redis.exceptions import RedisError

from digits_project.common.escaping import escaped
from digits_project.jobs.console.command import ConsoleCommand, Exit
from digits_project.jobs.console.follow import Interrupts, follow
from digits_project.jobs.models import Job
from digits_project.jobs.scheduling import queues

NO_WORKER = (
    "{} is alive, so nothing would {} it. Start the server (make run) or a worker (manage.py worker {}). Or add "
    "--here, to do the work in this command, or --no-wait, to leave it to a worker that starts later."
)


class WorkCommand(ConsoleCommand):
    """A command that creates or resumes jobs of one class and, by default, waits for them.

    It prints the jobs' ids, one per line, or with --json the JSON that a GET of each job returns.
    """

    work: str  # the worker's task as a verb: "build", "train"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        waiting = parser.add_mutually_exclusive_group()
        waiting.add_argument(
            "--wait", action="store_true", help="wait until the job has ended; Ctrl-C aborts it [default]"
        )
        waiting.add_argument("--no-wait", action="store_true", help="only create the job; a worker runs it")
        waiting.add_argument(
            "--here", action="store_true", help="do the work in this command: neither workers nor Redis are needed"
        )

    def describe(self, job: Job) -> dict:
        """The job as a GET returns it."""
        raise NotImplementedError

    def warnings(self, job: Job) -> list[str]:
        """Warnings about a job that has ended."""
        return []

    def remarks(self, job: Job) -> list[str]:
        """What to say about a job that was created."""
        return []

    def jobs(self, options) -> list[Job]:
        """Create or resume the jobs."""
        raise NotImplementedError

    def refuse_without_workers(self, job_class: type[Job], options) -> None:
        """Raise CommandError if the command would wait for ever."""
        if not options["no_wait"] and not options["here"]:
            refuse_without_workers(job_class, self.work)

    def result(self, jobs: list[Job]) -> str:
        """The text for standard output without --json."""
        return "\n".join(job.pk for job in jobs)

    def handle(self, **options):
        # Installed first, so that Ctrl-C never leaves a job behind.
        with Interrupts(self.screen.clear_bar) as interrupts:
            jobs = self.jobs(options)
            self._announce(jobs)
            for remark in (remark for job in jobs for remark in self.remarks(job)):
                self.screen.line(escaped(remark))
            status = Exit.DONE if options["no_wait"] else follow(jobs, self.screen, interrupts, options["here"])
            if options["here"] and status != Exit.INTERRUPTED:
                status = max(status, self._finish(jobs, interrupts))
        for job in jobs:
            job.refresh_from_db()
            for warning in self.warnings(job):
                self.screen.line(f"warning: {escaped(warning)}")
        if not self.as_json:
            self.stdout.write(self.result(jobs))
        else:
            described = [self.describe(job) for job in jobs]
            self.print_json(described[0] if len(jobs) == 1 else {"jobs": described})
        self.end(status)

    def _announce(self, jobs: list[Job]) -> None:
        for job in jobs:
            self.screen.line(f"{job.name}: {job.pk}")

    def _finish(self, jobs: list[Job], interrupts: Interrupts) -> Exit:
        """With --here: run the jobs that these jobs created, such as a training's evaluation, since there may be no
        worker that would."""
        created = [part for job in jobs for part in job.parts() if not part.has_ended]
        self._announce(created)
        return follow(created, self.screen, interrupts, here=True)


def add_owner(parser) -> None:
    parser.add_argument(
        "--owner", default="", help="the user who will own the job [nobody; then only operators can change it]"
    )


def refuse_without_workers(job_class: type[Job], work: str) -> None:
    """Raise CommandError if no worker listens that could run such a job."""
    try:
        listening = queues.live_workers()
    except RedisError as away:
        raise CommandError(NO_WORKER.format("Redis can't be reached and no worker", work, job_class.QUEUE)) from away
    if not any(name == job_class.QUEUE or name.startswith(f"{job_class.QUEUE}-") for name in listening):
        raise CommandError(NO_WORKER.format("No worker", work, job_class.QUEUE))
