"""`manage.py dataset_report DATASET_ID`"""

from django.core.management.base import CommandError

from datasets import reports
from datasets.api.report_responses import report_json
from datasets.models import Dataset, DatasetReport
from digits_project.common.escaping import escaped
from digits_project.jobs.console.command import Exit, job_of
from digits_project.jobs.console.work_command import WorkCommand, add_owner


class Command(WorkCommand):
    help = (
        "Report on a dataset: copies of images, unusual images, labels that seem wrong, and categories with few "
        "images. An existing report is shown, not repeated."
    )
    example = "20261125-120000-0c1a --csv"
    work = "make"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("dataset_id", help="the dataset's id")
        add_owner(parser)
        parser.add_argument("--csv", action="store_true", help="print the findings as CSV, one image a line")

    def describe(self, job):
        return report_json(job)

    def jobs(self, options):
        self._as_csv = options["csv"]
        dataset = job_of(options["dataset_id"], Dataset)
        self.refuse_without_workers(DatasetReport, options)
        try:
            return [reports.start(dataset, options["owner"])]
        except reports.CanNotReport as no:
            raise CommandError(str(no), returncode=Exit.BAD_INPUT) from no

    def result(self, jobs):
        """The sentences, and how many there are of each kind of finding."""
        [report] = jobs
        if self._as_csv:
            return "".join(reports.csv_lines(report)).rstrip()
        found = report.summary.get("counts", {})
        counts = [f"{kind:<14} {count:,}" for kind, count in found.items() if count]
        return "\n".join([report.pk, *map(escaped, report.summary.get("sentences", ())), *counts])
