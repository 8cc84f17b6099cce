"""`manage.py augment_preview JOB_ID`"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rest_framework import serializers

from datasets.models import Dataset
from digits_project.common.escaping import escaped
from digits_project.jobs.console.command import ConsoleCommand, job_of, wrong
from digits_project.jobs.console.form_options import FormOptions
from models_app.api.previews.preview_forms import DatasetPreviewForm, preview_json
from models_app.augment_preview import contact_sheet
from models_app.augment_preview.preview import SeenImage
from models_app.models import TrainedModel


class PreviewForm(DatasetPreviewForm):
    """The options: those of the preview of a dataset, and the job's id."""

    job_id = serializers.CharField(help_text="The id of a dataset or a model, as manage.py jobs lists them.")


OPTIONS = FormOptions(PreviewForm, name="job_id")


class Command(ConsoleCommand):
    help = (
        "Show the first nine images of a category as an epoch of a training will see them: as a PNG, pixel by pixel. "
        "Of a dataset with the given settings; of a model with its own. Prints the images' numbers, places and labels."
    )
    example = (
        "20261125-120000-0c1a --category shoes --aug-policy light --output sheet.png\n"
        "20261125-120000-0c1a --epoch 3 --output sheet.png --json"
    )

    def add_arguments(self, parser):
        super().add_arguments(parser)
        parser.add_argument("--output", type=Path, metavar="FILE", help="where to write the PNG [nowhere]")
        OPTIONS.add_to(parser)

    def handle(self, *, output, **options):
        form = PreviewForm(data=OPTIONS.data(options))
        with OPTIONS.form_errors(form):
            form.is_valid(raise_exception=True)
            job = job_of(form.validated_data["job_id"])
            if not isinstance(job, (Dataset, TrainedModel)):
                raise wrong(f"{job.pk} is neither a dataset nor a model.")
            dataset = job.dataset if isinstance(job, TrainedModel) else job
            reading = form.reading(job)
            images = form.images(dataset, reading)
        if output:
            _write(output, images)
        facts = preview_json(dataset, reading, form, images)
        if self.as_json:
            self.print_json(facts)
            return
        rows = [(str(image.record), str(image.position), _labels(image.labels)) for image in images]
        self.print_table(rows, header=("image", "place in the epoch", "label"))


def _write(path: Path, images: Sequence[SeenImage]) -> None:
    if not images:
        raise wrong("This category has no images for training.")
    try:
        path.write_bytes(contact_sheet.sheet([image.pixels for image in images]))
    except OSError as unwritable:
        raise wrong(f"--output: {path} can't be written: {unwritable.strerror}.") from unwritable


def _labels(shares: Mapping[str, float]) -> str:
    if len(shares) == 1:
        return escaped(next(iter(shares)))
    return ", ".join(f"{escaped(name)} {share:.2f}" for name, share in shares.items())
