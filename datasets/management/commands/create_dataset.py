"""`manage.py create_dataset NAME …`"""

from datasets import services
from datasets.api.serializers import FORMS, dataset_json, form_of
from datasets.models import Dataset
from datasets.sources import SOURCES
from datasets.sources.source import describe_sources
from datasets.sources.textfile_source import LOCAL
from digits_project.jobs.console.form_options import FormOptions
from digits_project.jobs.console.work_command import WorkCommand, add_owner

# A command's lists and archives are files of this machine.
OPTIONS = FormOptions(*FORMS.values(), name="dataset_name", hidden=(LOCAL, "upload_train"))


class Command(WorkCommand):
    help = (
        "Build a dataset from a source of images, which --method names. "
        f"{describe_sources(SOURCES.values())} Prints its id."
    )
    example = (
        "digits --folder-train var/demo/digits --resize-width 28 --resize-height 28 --resize-channels 1\n"
        "mine --method prebuilt --prebuilt-train-images train_db --prebuilt-val-images val_db --no-wait"
    )
    work = "build"

    def add_arguments(self, parser):
        super().add_arguments(parser)
        add_owner(parser)
        OPTIONS.add_to(parser)

    def describe(self, job):
        return dataset_json(job)

    def warnings(self, job):
        return [*services.report(job), *job.copies.get("remarks", ())]

    def jobs(self, options):
        data = OPTIONS.data(options) | {LOCAL: "on"}
        form = form_of(data.get("method"))(data=data)
        with OPTIONS.form_errors(form):
            form.is_valid(raise_exception=True)
            self.refuse_without_workers(Dataset, options)
            dataset = services.create_dataset(options["owner"], **form.validated_data)
        return [dataset]
