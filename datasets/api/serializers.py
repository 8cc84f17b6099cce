"""The dataset forms, and a dataset as JSON."""

from contextlib import suppress
from typing import Any

from PIL import ImageColor
from rest_framework import serializers

from datasets import imagedb, kinds, sources
from datasets.api.page_texts import GROUPS, LABELS, PLACED, TEXTS, errors_of_page
from datasets.imagedb.images.transparency import WHITE, is_background
from datasets.models import SIZE, Dataset, Depth, Encoding, ResizeMode
from datasets.services import describe_skipped
from datasets.sources.source import method_field
from digits_project.api import digits_fields, wire_format
from digits_project.api.forms import Form, choice_in
from digits_project.common.confined_files import shown
from digits_project.common.errors import BadInput
from digits_project.jobs.api.job_forms import group_field
from digits_project.jobs.api.job_responses import describe_job

_NAME_HELP = "The name of the dataset."


class Background(serializers.CharField):
    """The background of transparent images: white, black, another colour (stored as #rrggbb), or ignore."""

    def to_internal_value(self, data):
        text = super().to_internal_value(data).lower()
        if is_background(text):
            return text
        colour: tuple[int, ...] = ()
        with suppress(ValueError):
            colour = ImageColor.getrgb(text)
        if len(colour) != 3:
            raise serializers.ValidationError(
                f"{shown(text)} is not a colour: write white, black, another name such as grey, #rrggbb, or ignore."
            )
        return "#{:02x}{:02x}{:02x}".format(*colour)


def side_field(**options) -> serializers.IntegerField:
    """The field of a width or a height, in pixels."""
    return serializers.IntegerField(
        default=256, min_value=SIZE[0].limit_value, max_value=SIZE[1].limit_value, **options
    )


class SplitGroups(serializers.CharField):
    """Which images stay in one split: auto, off, column, or a pattern of paths."""

    def to_internal_value(self, data):
        text = super().to_internal_value(data)
        try:
            imagedb.check_pattern(text)
        except BadInput as wrong:
            raise serializers.ValidationError(str(wrong)) from wrong
        return text


class DatasetForm(Form):
    """The fields of a dataset itself, and those of each source that makes datasets of its kind."""

    KIND: str
    WIRE_NAMES = {"name": "dataset_name"}
    FIRST = ("dataset_name", "method")
    LAST: tuple[str, ...] = ("group_name",)

    dataset_name = serializers.CharField(max_length=255)
    group_name = group_field(default="")

    def unordered_fields(self):
        self._of_sources = {source.name: source.form() for source in sources.sources_of(self.KIND)}
        fields = super().unordered_fields() | {"method": method_field(self.KIND)}
        for form in self._of_sources.values():
            fields |= form.unordered_fields()
        return fields

    def fields_for(self, data, fields):
        """The fields of the dataset itself and of the chosen source."""
        chosen = choice_in(data, "method", fields["method"])
        for name, form in self._of_sources.items():
            of_source = {field: fields.pop(field) for field in form.names()}
            fields |= form.fields_for(data, of_source) if name == chosen else {}
        return fields

    def wrong_together(self, values):
        method = values.get("method", self.fields["method"].default)  # as in fields_for, if the method is wrong
        return self._of_sources[method].wrong_together(values)

    def for_page(self):
        for name, field in self.fields.items():
            if text := TEXTS.get(name):
                field.style = {**field.style, "title": text.title, "unit": text.unit}
                field.help_text = text.help
            if name in LABELS and isinstance(field, serializers.ChoiceField):
                field.choices = LABELS[name]

    def validate(self, form):
        """Form names to column names."""
        form["name"] = form.pop("dataset_name")
        return self._of_sources[form["method"]].columns(form) | {"kind": self.KIND}


class ClassificationDatasetForm(DatasetForm):
    """The form of POST /datasets/images/classification. Its valid data are create_dataset's arguments.

    Fields of other methods than the chosen one are ignored.
    """

    KIND = kinds.CLASSIFICATION
    DESCRIPTIONS = {
        "dataset_name": _NAME_HELP,
        "resize_channels": "3 for colour, 1 for grayscale.",
        "resize_width": "Width to which every image is resized, in pixels.",
        "resize_height": "Height to which every image is resized, in pixels.",
        "resize_mode": (
            "crop scales the image to cover the size and cuts the rest, squash changes the aspect ratio, fill "
            "scales to fit and pads the rest, half_crop is half way between crop and fill."
        ),
        "encoding": "How the images are stored: png and none are lossless, jpg is smaller.",
        "alpha_background": (
            "The background colour for transparent images: white, black, another name or #rrggbb; ignore drops the "
            "alpha channel and keeps the colours under it."
        ),
        "depth": (
            "How images with 16 bits per channel become 8-bit: auto scales by the range that the images use, full by "
            "the whole range of 16 bits."
        ),
        "split_groups": (
            "Which images stay in one split: auto (exact copies), off, or a pattern of their paths in which `{group}` "
            "stands for what names a patient, a video or a product, and `*` for any text, such as `*/{group}_*`. "
            "column: each line of the lists ends with such a name."
        ),
        "seed": "The same seed with the same images gives the same splits and the same order.",
    }
    DIGITS_FIELDS = digits_fields.DATASET
    LAST = ("split_groups", "seed", "group_name")
    page_template = "datasets/classification_form.html"

    resize_channels = serializers.ChoiceField([1, 3], default=3)
    resize_width = side_field()
    resize_height = side_field()
    resize_mode = serializers.ChoiceField(ResizeMode.values, default=ResizeMode.SQUASH)
    encoding = serializers.ChoiceField(Encoding.values, default=Encoding.PNG)
    alpha_background = Background(default=WHITE)
    depth = serializers.ChoiceField(Depth.values, default=Depth.AUTO)
    split_groups = SplitGroups(default="auto", max_length=imagedb.MAX_PATTERN)
    seed = serializers.IntegerField(default=0, min_value=0, max_value=2**31 - 1)

    def page_errors(self, wrong):
        return errors_of_page(wrong)

    def wrong_together(self, values):
        wrong = super().wrong_together(values)
        if values.get("split_groups") == imagedb.COLUMN and values.get("method") != sources.TEXTFILE.name:
            wrong = wrong | {"split_groups": imagedb.NO_COLUMN}
        return wrong

    @property
    def groups(self) -> dict[str, list[str]]:
        """The fields under each heading of the page."""
        groups = GROUPS | {"lists": sources.TEXTFILE.form().names()}
        placed = {*PLACED, *(name for names in groups.values() for name in names)}
        placed |= {name for source in self.further_sources for name in source.field_names}
        return groups | {"others": [name for name in self.names() if name not in placed]}

    @property
    def further_sources(self) -> list[sources.Source]:
        """The sources for which the page has no place of their own."""
        known = (sources.FOLDER, sources.TEXTFILE)
        return [source for source in sources.sources_of(self.KIND) if source not in known]


class GenericDatasetForm(DatasetForm):
    """The form of POST /datasets/images/generic. Its valid data are create_dataset's arguments.

    It has no fields for resizing or encoding, because the images of prebuilt databases are not changed.
    """

    KIND = kinds.GENERIC
    DESCRIPTIONS = {"dataset_name": _NAME_HELP}
    DIGITS_FIELDS = digits_fields.GENERIC_DATASET


FORMS: dict[str, type[DatasetForm]] = {form.KIND: form for form in (ClassificationDatasetForm, GenericDatasetForm)}


def form_of(method: str | None) -> type[DatasetForm]:
    """The form of the source with this name; the form for classification if there is none."""
    source = sources.SOURCES.get(method or "")
    return FORMS[source.kind if source else kinds.CLASSIFICATION]


def form_values(dataset: Dataset) -> dict[str, Any]:
    """The values of the form that made the dataset. Uploaded files must be chosen again, and the server does not keep
    the paths of its own text files."""
    values = {name: getattr(dataset, name) for name in FORMS[dataset.kind]().names() if hasattr(dataset, name)}
    if not dataset.source.is_in_forms:
        del values["method"]  # the form begins with the settings of the images, and asks where they are
    for source in sources.sources_of(dataset.kind):
        values |= source.form_values(dataset)
    return values | {"dataset_name": dataset.name}


def dataset_json(dataset: Dataset) -> dict:
    """The response to GET /datasets/<id>.json."""
    found = {name: value for name in ("copies", "warnings") if (value := getattr(dataset, name))}
    look = dataset.look | {"depth": dataset.depth} if dataset.declared_kind.is_resized else {}
    tasks = dataset.declared_kind.describe_tasks(dataset)
    if wire_format.is_of_digits():
        for task in tasks.get("CreateDbTasks", ()):
            task |= {"backend": "recordio", "compression": "none"}
    return describe_job(dataset, **tasks, **look, **describe_skipped(dataset), **found)
