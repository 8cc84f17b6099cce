"""The table of datasets."""

from pathlib import Path
from typing import Any, TypedDict

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.urls import reverse

from datasets import imagedb, kinds, sources
from digits_project.jobs.models import Job, Status

SIZE = [MinValueValidator(1), MaxValueValidator(4096)]


class ResizeMode(models.TextChoices):
    CROP = "crop", "scale until it covers the size, cut the rest"
    SQUASH = "squash", "change the aspect ratio"
    FILL = "fill", "scale until it fits, pad the rest"
    HALF_CROP = "half_crop", "half way between crop and fill"


class Encoding(models.TextChoices):
    NONE = "none", "none"
    PNG = "png", "PNG (lossless)"
    JPG = "jpg", "JPEG (lossy)"


class Depth(models.TextChoices):
    AUTO = "auto", "the range that the images use"
    FULL = "full", "the whole range of 16 bits"


class LookOptions(TypedDict):
    """How transparency and 16-bit samples are converted: arguments of imagedb's read_array."""

    alpha_background: str
    white_level: int


class Dataset(Job):
    """Images with their categories, or with labels of any shape, and the databases that hold them.

    `kind` is the type of the labels (datasets.kinds), `method` the source of the images (datasets.sources).
    """

    QUEUE = "io"
    TASK = "datasets.tasks.build_dataset"
    ROUTE = "datasets"
    PATHS = tuple(path for source in sources.SOURCES.values() for path in source.paths)

    kind = models.CharField(
        max_length=kinds.MAX_NAME, choices=kinds.kind_choices, default=kinds.CLASSIFICATION, editable=False
    )
    method = models.CharField(max_length=sources.MAX_NAME, choices=sources.method_choices, default=sources.FOLDER.name)

    # The request. The columns have the names of the form's fields (docs/api.md).
    resize_channels = models.PositiveSmallIntegerField(default=3, choices=[(1, "grayscale"), (3, "color")])
    resize_width = models.PositiveIntegerField(default=256, validators=SIZE)
    resize_height = models.PositiveIntegerField(default=256, validators=SIZE)
    resize_mode = models.CharField(max_length=9, choices=ResizeMode, default=ResizeMode.SQUASH)
    encoding = models.CharField(max_length=4, choices=Encoding, default=Encoding.PNG)
    alpha_background = models.CharField(max_length=7, default="white")
    depth = models.CharField(max_length=4, choices=Depth, default=Depth.AUTO)
    split_groups = models.CharField(
        max_length=imagedb.MAX_PATTERN,
        default="auto",
        help_text="Which images stay in one split.",
    )
    of_sources = sources.SourceColumns()  # the columns folder_train, textfile_shuffle …
    seed = models.PositiveIntegerField(default=0, help_text="Decides the splits and the order of the images.")
    # The dataset that this one revises; None if it is no revision, or that dataset was deleted.
    parent = models.ForeignKey(
        "self", null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="revisions"
    )
    # Of a revision: parent_id, parent_name, first_id (the dataset that no other is before), excluded, relabelled.
    revision = models.JSONField(default=dict, editable=False)

    # Of a fold of the parent: its number from 1, and the number of folds.
    fold = models.PositiveSmallIntegerField(null=True, editable=False)
    folds = models.PositiveSmallIntegerField(null=True, editable=False)

    # The result of the build.
    categories = models.JSONField(default=list, editable=False)  # their names, in the order of the labels
    # imagedb.Split: name, entries, per_category; also in_train if the split was a subfolder of the training folder
    splits = models.JSONField(default=list, editable=False)
    label_shape = models.JSONField(default=list, editable=False)  # C, H, W of a generic dataset's labels
    copies = models.JSONField(default=dict, editable=False)  # numbers of images that are exact copies of others
    skipped = models.PositiveIntegerField(default=0, editable=False, help_text="Files that could not be used.")
    skipped_reasons = models.JSONField(default=dict, editable=False)  # {reason: number of files}
    warnings = models.JSONField(default=list, editable=False)
    digests = models.JSONField(default=dict, editable=False)  # {file: SHA-256}; {} for datasets of early versions
    white_level = models.PositiveIntegerField(default=65535, editable=False)  # the 16-bit sample that became 255

    @property
    def TYPE(self) -> str:
        return self.declared_kind.label

    @property
    def declared_kind(self) -> kinds.DatasetKind:
        """The registered kind of this row."""
        return kinds.KINDS[self.kind]

    @property
    def source(self) -> sources.Source:
        """The registered source of this row."""
        return sources.SOURCES[self.method]

    def clean(self):
        """Check the source's columns together. Django has already checked each column, including `method`."""
        if self.method in sources.SOURCES:
            self.source.check(self)

    def spec(self) -> Any:
        """The value that the engine builds from, an imagedb.Spec or PrebuiltSpec. Raises BadInput."""
        return self.source.spec(self)

    def image_options(self) -> dict:
        """The options of imagedb.Spec that do not depend on the source."""
        return {
            "width": self.resize_width,
            "height": self.resize_height,
            "channels": self.resize_channels,
            "resize_mode": self.resize_mode,
            "encoding": self.encoding,
            "alpha_background": self.alpha_background,
            "depth": self.depth,
            "seed": self.seed,
            "split_groups": self.split_groups,
            "roots": tuple(settings.DIGITS_DATA_ROOTS),
        }

    @property
    def archive(self) -> Path:
        """The uploaded archive, which is kept until the dataset is Done."""
        return self.directory / "archive"

    def entries(self, split: str) -> int:
        """The number of images in a split; 0 if there is no such split."""
        return next((found["entries"] for found in self.splits if found["name"] == split), 0)

    @property
    def images(self) -> int:
        """The number of images in all splits."""
        return sum(split["entries"] for split in self.splits)

    @property
    def category_names(self) -> list[str]:
        """The categories' names for responses, made unique and printable, because the names of older datasets may be
        neither."""
        return imagedb.usable_names(self.categories)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C×H×W of every record. For a generic dataset it is a placeholder until it is Done."""
        return self.resize_channels, self.resize_height, self.resize_width

    @property
    def look(self) -> LookOptions:
        """How transparency and 16-bit samples are converted, in the build and in images to classify."""
        return {"alpha_background": self.alpha_background, "white_level": self.white_level}

    @property
    def shapes_are_known(self) -> bool:
        """Whether `image_shape` and `label_shape` are real: a generic dataset has placeholders until it is Done."""
        return self.declared_kind.is_resized or self.status == Status.DONE

    def clear_away(self) -> None:
        imagedb.clear_away(self.directory)

    def dependents(self) -> list[Job]:
        unfinished = self.revisions.filter(status__in=(Status.INITIALIZED, Status.WAITING, Status.RUNNING))
        return [*self.trained_models.all(), *self.searches.all(), *unfinished]

    def parts(self) -> list[Job]:
        return list(DatasetReport.objects.filter(dataset=self))

    @property
    def report_directory(self) -> Path:
        """The folder of its report's findings."""
        return self.directory / "report"


class DatasetReport(Job):
    """The report on a dataset's images, at most one for each dataset. A worker makes it after the build.

    It is deleted with its dataset, whose folder holds the findings.
    """

    QUEUE = "io"
    TASK = "datasets.tasks.make_report"
    ROUTE = "dataset_reports"
    TYPE = "Dataset Report"
    IN_INDEX = False
    FILLS_DISK = False
    PART_OF = "dataset"
    LISTED = (*Job.LISTED, "dataset")

    dataset = models.OneToOneField(Dataset, on_delete=models.CASCADE, related_name="report")
    summary = models.JSONField(default=dict, editable=False)  # of datasets.report.making.make_report

    class Meta(Job.Meta):
        pass

    def get_absolute_url(self, suffix: str = "") -> str:
        return reverse("dataset-report", args=[self.dataset_id]) + suffix

    def clear_away(self) -> None:
        imagedb.clear_away(self.dataset.report_directory)

    def folders(self) -> list[Path]:
        return [*super().folders(), Dataset(pk=self.dataset_id).report_directory]
