"""`manage.py revise_dataset DATASET_ID …`"""

from pathlib import Path

from django.core.management.base import CommandError

from datasets import revisions, services
from datasets.api.revision_form import RevisionForm
from datasets.api.serializers import dataset_json
from datasets.imagedb.revising.changes_file import read_changes
from datasets.models import Dataset
from digits_project.common.errors import BadInput
from digits_project.jobs.console.command import Exit, job_of, wrong
from digits_project.jobs.console.form_options import FormOptions
from digits_project.jobs.console.work_command import WorkCommand, add_owner

OPTIONS = FormOptions(RevisionForm, name="dataset_name", hidden=("exclude", "relabel"))
NAMES = {"exclude": "--exclude", "relabel": "--relabel", "dataset_name": "--dataset-name"}


class Command(WorkCommand):
    help = (
        "Make a new dataset of a dataset's records, without some images and with other categories of some. The old "
        "dataset and the images' files are not changed. Prints the new dataset's id."
    )
    example = (
        "20261125-120000-0c1a --exclude train/3 val/1 --relabel train/17=cat --dataset-name clean\n"
        "20261125-120000-0c1a --changes found.csv --here"
    )
    work = "build"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("dataset_id", help="the dataset's id")
        add_owner(parser)
        image = "an image is named by its split and the number of its record, as reports name it: train/17"
        several = {"nargs": "+", "action": "extend", "default": []}
        parser.add_argument("--exclude", metavar="IMAGE", help=f"images to leave out; {image}", **several)
        parser.add_argument(
            "--relabel", metavar="IMAGE=CATEGORY", help="images that get another category of the dataset", **several
        )
        parser.add_argument(
            "--changes",
            metavar="FILE",
            help=(
                'JSON ({"exclude": [...], "relabel": {...}}), or the CSV of a report to which a column "action" was '
                'added: exclude, relabel or nothing. The new category is in a column "to", else the likelier one'
            ),
        )
        parser.add_argument("--dataset-name", default="", help="the new dataset's name [the old one's, with a number]")

    def describe(self, job):
        return dataset_json(job)

    def warnings(self, job):
        return services.report(job)

    def jobs(self, options):
        dataset = job_of(options["dataset_id"], Dataset)
        form = RevisionForm(data={"dataset_name": options["dataset_name"], **_changes(options)})
        with OPTIONS.form_errors(form, NAMES):
            form.is_valid(raise_exception=True)
            self.refuse_without_workers(Dataset, options)
            try:
                return [revisions.revise(dataset, options["owner"], **form.validated_data)]
            except revisions.CanNotRevise as no:
                raise CommandError(str(no), returncode=Exit.BAD_INPUT) from no


def _changes(options) -> dict:
    """The fields of the form, from the options and the file. Raises CommandError."""
    exclude, relabel = list(options["exclude"]), list(options["relabel"])
    if options["changes"]:
        try:
            found = read_changes(Path(options["changes"]))
        except BadInput as unreadable:
            raise wrong(str(unreadable)) from unreadable
        exclude += found.exclude
        relabel += [f"{image}={category}" for image, category in (found.relabel or {}).items()]
    return {"exclude": exclude, "relabel": relabel}
