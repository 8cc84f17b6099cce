"""What a dataset is."""

from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models

from datasets import imagedb
from digits_project.common.errors import BadInput
from digits_project.jobs.models import Job, Status

SIZE = [MinValueValidator(1), MaxValueValidator(4096)]
PERCENT = [MinValueValidator(0), MaxValueValidator(100)]
COUNT = [MinValueValidator(1), MaxValueValidator(2**31 - 1)]


class DatasetKind(models.TextChoices):
    CLASSIFICATION = "classification", "Image Classification Dataset"  # DIGITS's words for it, as in /status
    GENERIC = "generic", "Generic Image Dataset"


class SourceMethod(models.TextChoices):
    FOLDER = "folder", "a folder with one subfolder of images per category"
    TEXTFILE = "textfile", "text files that list images and their categories"
    PREBUILT = "prebuilt", "databases that were built elsewhere"


class ResizeMode(models.TextChoices):
    CROP = "crop", "scale until it covers, cut the rest"
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


class Dataset(Job):
    """Images with their categories, or with labels of any shape, and the databases made of them.

    A classification dataset comes from a folder or from text files, a generic one from databases built elsewhere.
    """

    QUEUE = "io"
    TASK = "datasets.tasks.build_dataset"
    KIND = "datasets"
    PATHS = (
        *(f"folder_{split}" for split in ("train", "val", "test")),
        *(f"textfile_{split}_folder" for split in ("train", "val", "test")),
        *(f"prebuilt_{split}_{what}" for split in ("train", "val") for what in ("images", "labels")),
        "prebuilt_mean_file",
    )

    kind = models.CharField(max_length=14, choices=DatasetKind, default=DatasetKind.CLASSIFICATION, editable=False)
    method = models.CharField(max_length=8, choices=SourceMethod, default=SourceMethod.FOLDER)

    # What was asked for; the names are those of the form (API.md).
    resize_channels = models.PositiveSmallIntegerField(default=3, choices=[(1, "grayscale"), (3, "color")])
    resize_width = models.PositiveIntegerField(default=256, validators=SIZE)
    resize_height = models.PositiveIntegerField(default=256, validators=SIZE)
    resize_mode = models.CharField(max_length=9, choices=ResizeMode, default=ResizeMode.SQUASH)
    encoding = models.CharField(max_length=4, choices=Encoding, default=Encoding.PNG)
    alpha_background = models.CharField(max_length=7, default="white")
    depth = models.CharField(max_length=4, choices=Depth, default=Depth.AUTO)
    folder_train = models.CharField(max_length=4096, blank=True)
    archive_train = models.CharField(max_length=255, blank=True, editable=False)  # the name of what was sent instead
    folder_val = models.CharField(max_length=4096, blank=True)
    folder_test = models.CharField(max_length=4096, blank=True)
    folder_pct_val = models.FloatField(default=25, validators=PERCENT)
    folder_pct_test = models.FloatField(default=0, validators=PERCENT)
    folder_train_min_per_class = models.PositiveIntegerField(default=2, validators=COUNT)
    folder_train_max_per_class = models.PositiveIntegerField(null=True, blank=True, validators=COUNT)
    folder_val_min_per_class = models.PositiveIntegerField(default=2, validators=COUNT)
    folder_val_max_per_class = models.PositiveIntegerField(null=True, blank=True, validators=COUNT)
    folder_test_min_per_class = models.PositiveIntegerField(default=2, validators=COUNT)
    folder_test_max_per_class = models.PositiveIntegerField(null=True, blank=True, validators=COUNT)
    textfile_use_val = models.BooleanField(default=False)
    textfile_use_test = models.BooleanField(default=False)
    textfile_train_folder = models.CharField(max_length=4096, blank=True)
    textfile_val_folder = models.CharField(max_length=4096, blank=True)
    textfile_test_folder = models.CharField(max_length=4096, blank=True)
    textfile_shuffle = models.BooleanField(default=True)
    prebuilt_train_images = models.CharField(max_length=4096, blank=True)
    prebuilt_train_labels = models.CharField(max_length=4096, blank=True)
    prebuilt_val_images = models.CharField(max_length=4096, blank=True)
    prebuilt_val_labels = models.CharField(max_length=4096, blank=True)
    prebuilt_mean_file = models.CharField(max_length=4096, blank=True)
    seed = models.PositiveIntegerField(default=0, help_text="Decides the split and the order of the images.")

    # What came of it.
    categories = models.JSONField(default=list, editable=False)  # their names, in the order of the labels
    # imagedb.Split: name, entries, per_category; and in_train where it was found in the folder for training
    splits = models.JSONField(default=list, editable=False)
    label_shape = models.JSONField(default=list, editable=False)  # C, H, W of a generic dataset's labels
    copies = models.JSONField(default=dict, editable=False)  # how many images are exact copies of others
    skipped = models.PositiveIntegerField(default=0, editable=False, help_text="Images that could not be read.")
    skipped_reasons = models.JSONField(default=dict, editable=False)  # how many files for each reason
    warnings = models.JSONField(default=list, editable=False)
    digests = models.JSONField(default=dict, editable=False)  # SHA-256 of the files; {} before there were any
    white_level = models.PositiveIntegerField(default=65535, editable=False)  # the 16-bit sample that became 255

    @property
    def TYPE(self) -> str:
        return DatasetKind(self.kind).label

    def clean(self):
        """Besides each column by itself: a folder that can hold a dataset, and shares that leave some to train on."""
        required = {SourceMethod.FOLDER: "folder_train", SourceMethod.PREBUILT: "prebuilt_train_images"}.get(
            self.method
        )
        if required and not getattr(self, required) and not self.archive_train:
            raise ValidationError({required: "This field is required."})
        if self.method != SourceMethod.FOLDER:
            return  # the service checks text files, which have no place before the job has its folder
        try:
            # An archive that was sent has no place before the job has its folder; its unpacking checks it.
            imagedb.check(self.spec())
        except BadInput as wrong:
            raise ValidationError({"folder_train": str(wrong)}) from wrong

    def spec(self) -> imagedb.Spec:
        """What the engine needs of this row, as a plain value. Raises BadInput."""
        return imagedb.Spec(
            **(self._listed_sources() if self.method == SourceMethod.TEXTFILE else self._folder_sources()),
            pct_val=self.folder_pct_val,
            pct_test=self.folder_pct_test,
            width=self.resize_width,
            height=self.resize_height,
            channels=self.resize_channels,
            resize_mode=self.resize_mode,
            encoding=self.encoding,
            alpha_background=self.alpha_background,
            depth=self.depth,
            seed=self.seed,
            val_limits=self._limits("val"),
            test_limits=self._limits("test"),
            roots=tuple(settings.DIGITS_DATA_ROOTS),
        )

    def prebuilt_spec(self) -> imagedb.PrebuiltSpec:
        """The same of a generic dataset's row."""
        return imagedb.PrebuiltSpec(
            train=self._prebuilt_split("train"),
            val=self._prebuilt_split("val"),
            mean=Path(self.prebuilt_mean_file) if self.prebuilt_mean_file else None,
            roots=tuple(settings.DIGITS_DATA_ROOTS),
        )

    def _prebuilt_split(self, split: str) -> imagedb.PrebuiltSplit | None:
        images, labels = (getattr(self, f"prebuilt_{split}_{what}") for what in ("images", "labels"))
        return imagedb.PrebuiltSplit(Path(images), Path(labels) if labels else None) if images else None

    @property
    def archive(self) -> Path:
        """Where an archive that was sent is kept until the dataset is Done."""
        return self.directory / "archive"

    def text_list(self, name: str) -> Path:
        """Where a text file of the user's is kept: labels, train, val or test."""
        return self.directory / "lists" / f"{name}.txt"

    def _listed_sources(self) -> dict:
        used = {"train": True, "val": self.textfile_use_val, "test": self.textfile_use_test}
        sources = {split: self._text_source(split) for split in used if used[split]}
        labels = imagedb.TextSource(self.text_list("labels"), "labels.txt")
        return sources | {"labels": labels, "shuffle": self.textfile_shuffle}

    def _text_source(self, split: str) -> imagedb.TextSource:
        folder = getattr(self, f"textfile_{split}_folder")
        return imagedb.TextSource(self.text_list(split), f"{split}.txt", Path(folder) if folder else None)

    def _folder_sources(self) -> dict:
        return {split: self._source(split) for split in ("train", "val", "test")}

    def _source(self, split: str) -> imagedb.FolderSource | None:
        folder, sent = getattr(self, f"folder_{split}"), split == "train" and bool(self.archive_train)
        if not folder and not sent:
            return None
        return imagedb.FolderSource(
            self.archive if sent else Path(folder),
            *self._limits(split),
            name=self.archive_train if sent else folder,
            sent=sent,
        )

    def _limits(self, split: str) -> tuple[int, int | None]:
        """The minimum and maximum of images per category."""
        return getattr(self, f"folder_{split}_min_per_class"), getattr(self, f"folder_{split}_max_per_class")

    def entries(self, split: str) -> int:
        """How many images a split has; 0 when there is no such split."""
        return next((found["entries"] for found in self.splits if found["name"] == split), 0)

    @property
    def category_names(self) -> list[str]:
        """The categories as answers call them: an older dataset may have two of one name, or unseen characters."""
        return imagedb.usable_names(self.categories)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """C×H×W of every record. A generic dataset knows it when it is Done; until then this is a stand-in."""
        return self.resize_channels, self.resize_height, self.resize_width

    @property
    def look(self) -> dict[str, str | int]:
        """How transparency and 16-bit samples became pixels, and become them in images that are classified."""
        return {"alpha_background": self.alpha_background, "white_level": self.white_level}

    @property
    def shapes_are_known(self) -> bool:
        """Whether `image_shape` and `label_shape` are those of the records: of a generic dataset, once it is Done."""
        return self.kind == DatasetKind.CLASSIFICATION or self.status == Status.DONE

    def clear_away(self) -> None:
        imagedb.clear_away(self.directory)

    def dependents(self) -> list[Job]:
        return list(self.trained_models.all())
