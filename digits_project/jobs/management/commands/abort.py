"""`manage.py abort JOB_ID …`"""

from django.core.management.base import CommandError

from digits_project.common import errors
from digits_project.jobs import services
from digits_project.jobs.console.command import ConsoleCommand, Exit, job_of
from digits_project.jobs.console.follow import Interrupts, follow
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
        stopping, refused = [], []
        for job in jobs:
            try:
                services.abort(job)
                stopping.append(job)
            except errors.Refused as ended:  # go on with the other jobs
                refused.append(str(ended))
        if stopping and not options["no_wait"]:
            with Interrupts(self.screen.clear_bar) as interrupts:
                follow(stopping, self.screen, interrupts)
        if self.as_json:
            self.print_json([{"id": job.pk, "status": job.status} for job in jobs])
        if refused:
            raise CommandError("\n".join(refused), returncode=Exit.FAILED)
        stopped = all(job.status in (Status.ABORTED, Status.RUNNING) for job in jobs)
        self.end(Exit.DONE if stopped else Exit.FAILED)
