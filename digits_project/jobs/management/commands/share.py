"""`manage.py share`"""

from rest_framework.exceptions import ValidationError

from digits_project.api.exception_handler import messages_by_field
from digits_project.jobs import services
from digits_project.jobs.console.command import ConsoleCommand, job_of, wrong
from digits_project.jobs.sharing import groups_of, shared_names


class Command(ConsoleCommand):
    help = (
        "Show a job to the accounts of these groups, and of no others, where DIGITS_PRIVATE is on. Without a "
        "group, only its owner and operators see it. A model's evaluations are shared with it."
    )
    example = '20261125-120000-0c1a vision "lab 3"'

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("job_id", metavar="JOB_ID", help="the job's id, as manage.py jobs lists it")
        parser.add_argument("groups", nargs="*", metavar="GROUP", help="groups of accounts, as the admin lists them")

    def handle(self, *, job_id, groups, **options):
        job = job_of(job_id)
        try:
            services.share(job, groups_of(groups))
        except ValidationError as unknown:
            raise wrong(messages_by_field(unknown.detail)[""][0]) from unknown
        names = shared_names(job)
        if self.as_json:
            self.print_json({"id": job.pk, "shared_with": names})
        else:
            self.stdout.write(", ".join(names) or "nobody")
