"""`manage.py abort JOB_ID …`"""

from digits_project.jobs import services
from digits_project.jobs.console.command import ConsoleCommand, Exit, job_of
from digits_project.jobs.console.follow import ask_to_end
from digits_project.jobs.models import Status


class Command(ConsoleCommand):
    help = "Abort jobs that have not ended. The snapshots of a training stay, and the job can be resumed."
    example = "20261125-120000-0c1a"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("job_ids", nargs="+", metavar="JOB_ID", help="the jobs' ids, as manage.py jobs lists them")
        parser.add_argument("--no-wait", action="store_true", help="do not wait until the jobs have stopped")

    def handle(self, *, job_ids, **options):
        jobs = [job_of(job_id) for job_id in job_ids]
        ask_to_end(self, jobs, services.abort, wait=not options["no_wait"])
        stopped = all(job.status in (Status.ABORTED, Status.RUNNING) for job in jobs)
        self.end(Exit.DONE if stopped else Exit.FAILED)
