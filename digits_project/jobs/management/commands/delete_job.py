"""`manage.py delete_job JOB_ID …`"""

from django.core.management.base import CommandError

from digits_project.jobs import services
from digits_project.jobs.console.command import ConsoleCommand, Exit, job_of
from digits_project.jobs.models import Job


class Command(ConsoleCommand):
    help = (
        "Delete jobs with all their files, after asking for confirmation. A running job is aborted first. A "
        "dataset can be deleted only when no model uses it, so name its models first."
    )
    example = "20261125-120000-0c1a --yes"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("job_ids", nargs="+", metavar="JOB_ID", help="the jobs' ids, as manage.py jobs lists them")
        parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")

    def handle(self, *, job_ids, yes, **options):
        jobs = [job_of(job_id) for job_id in job_ids]
        for job in jobs:
            self.screen.line(_described(job))
        if not yes and not self._agreed(len(jobs)):
            raise CommandError("Nothing was deleted.", returncode=Exit.FAILED)
        services.stop_together(jobs)
        for job in jobs:
            services.delete(job)
            if not self.as_json:
                self.stdout.write(f"Deleted {job.pk}.")
        if self.as_json:
            self.print_json({"deleted": [job.pk for job in jobs]})

    def _agreed(self, count: int) -> bool:
        try:
            return input(f"Delete {count} job(s) for good? [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:
            return False


def _described(job: Job) -> str:
    others = "".join(f"\n  needed by {other.name} ({other.pk}, {other.status})" for other in job.dependents())
    return f"{job.name} ({job.pk}, {job.status}), {job.directory}{others}"
