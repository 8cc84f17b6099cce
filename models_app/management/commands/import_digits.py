"""`manage.py import_digits FOLDER`"""

import time
from functools import partial
from pathlib import Path

from digits_project.common.errors import BadInput
from digits_project.jobs.console.command import ConsoleCommand, Exit, wrong
from digits_project.jobs.console.work_command import add_owner
from models_app.digits_import import digits_jobs, importer
from models_app.digits_import.digits_jobs import DigitsJob

ALREADY_IMPORTED = "is there already"


class Command(ConsoleCommand):
    help = (
        "Import the jobs of a DIGITS server: datasets with their databases, and models that Caffe trained, with "
        "their snapshots. Ids and names stay the same, so old links continue to work. The command lists each job "
        "that can't be imported, with the reason; the exit status is then 1. It changes nothing in FOLDER and runs "
        "nothing from it: status.pickle is not unpickled."
    )
    example = "/var/digits/jobs\n/var/digits/jobs/20170301-120000-0c1a --no-records"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        add_owner(parser)
        parser.add_argument("folder", type=Path, help="DIGITS's folder of jobs, or the folder of one job")
        parser.add_argument("--no-records", action="store_true", help="do not import the databases of the datasets")

    def handle(self, *, folder, **options):
        try:
            jobs = digits_jobs.find(folder.absolute())
        except OSError as unreadable:
            raise wrong(f"{folder} can't be read: {unreadable.strerror}.") from unreadable
        if not jobs:
            raise wrong(f"{folder} holds no job folders of DIGITS, such as 20170301-120000-0c1a.")
        outcomes = [self._take(found, options) for found in jobs]
        if self.as_json:
            self.print_json(outcomes)
        left_out = [one["left_out"] for one in outcomes if one["left_out"] not in ("", ALREADY_IMPORTED)]
        there = sum(one["left_out"] == ALREADY_IMPORTED for one in outcomes)
        taken = len(outcomes) - there - len(left_out)
        self.screen.line(f"{taken} imported, {there} already there, {len(left_out)} left out")
        self.end(Exit.FAILED if left_out else Exit.DONE)

    def _report(self, name: str, began: float, fraction: float) -> None:
        if self.screen.live:
            self.screen.progress(name, fraction, began)

    def _take(self, found: DigitsJob, options) -> dict:
        began, why = time.monotonic(), ""
        try:
            if found.kind == "dataset":
                importer.take_dataset(
                    found,
                    options["owner"],
                    records=not options["no_records"],
                    report=partial(self._report, found.name, began),
                )
            elif found.kind == "model":
                importer.take_model(found, options["owner"])
            else:
                why = f"{found.digits_class or 'what it is'} is neither a dataset nor a model."
        except FileExistsError:
            why = ALREADY_IMPORTED
        except BadInput as left_out:
            why = str(left_out)
        line = f"{found.job_id}  {found.kind}  {found.name}" + (f": left out, {why}" if why else "")
        if not self.as_json:
            self.stdout.write(line)
        return {"id": found.job_id, "kind": found.kind, "name": found.name, "left_out": why}
