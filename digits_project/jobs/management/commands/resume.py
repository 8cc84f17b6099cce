"""`manage.py resume JOB_ID …`"""

from digits_project.jobs import services
from digits_project.jobs.api.job_responses import describe_job
from digits_project.jobs.console.command import job_of
from digits_project.jobs.console.work_command import WorkCommand


class Command(WorkCommand):
    help = "Resume aborted or failed jobs: a training continues from its newest snapshot, a dataset from its beginning."
    work = "run"
    example = "20261125-120000-0c1a --here"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("job_ids", nargs="+", metavar="JOB_ID", help="the jobs' ids, as manage.py jobs lists them")

    def describe(self, job):
        return describe_job(job)

    def warnings(self, job):
        return getattr(job, "warnings", [])

    def jobs(self, options):
        jobs = [job_of(job_id) for job_id in options["job_ids"]]
        for job in jobs:
            self.refuse_without_workers(type(job), options)
        for job in jobs:
            services.resume(job)
        return jobs
