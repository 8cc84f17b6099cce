"""The dataset form, and a dataset as JSON."""

from pathlib import Path

from rest_framework import serializers

from datasets.api import dataset_descriptions
from datasets.api.dataset_fields import (
    ArchiveField,
    Background,
    CategoriesFolder,
    DatabaseField,
    FlagOn,
    ImagesFolder,
    MeanFile,
    ServerFile,
)
from datasets.imagedb.images.transparency import WHITE
from datasets.models import SIZE, Dataset, DatasetKind, Depth, Encoding, ResizeMode, SourceMethod
from datasets.services import MAX_LIST_BYTES, TextList, describe_skipped, describe_tasks
from digits_project.api import digits_fields
from digits_project.api.forms import Flag, Form
from digits_project.api.uploads import Upload
from digits_project.jobs.api.job_responses import describe_job

MAX_PER_CLASS = 2**31 - 1
TEXT_LISTS = ("labels", "train", "val", "test")


def _percent(default: float) -> serializers.FloatField:
    return serializers.FloatField(default=default, min_value=0, max_value=100, validators=[_leaves_some])


def _leaves_some(percent: float) -> None:
    if percent == 100:
        raise serializers.ValidationError("100 % leaves no image to train on.")


def _least() -> serializers.IntegerField:
    return serializers.IntegerField(default=2, min_value=1, max_value=MAX_PER_CLASS)


def _most() -> serializers.IntegerField:
    return serializers.IntegerField(default=None, min_value=1, max_value=MAX_PER_CLASS)


def _size() -> serializers.IntegerField:
    return serializers.IntegerField(default=256, min_value=SIZE[0].limit_value, max_value=SIZE[1].limit_value)


class ClassificationDatasetForm(Form):
    """What POST /datasets/images/classification takes. Valid data are create_dataset's arguments.

    Of the fields that belong to one method, only those of the chosen method are looked at.
    """

    WIRE_NAMES = {"name": "dataset_name"}
    DESCRIPTIONS = dataset_descriptions.CLASSIFICATION
    DIGITS_FIELDS = digits_fields.DATASET

    dataset_name = serializers.CharField(max_length=255)
    method = serializers.ChoiceField(
        [SourceMethod.FOLDER.value, SourceMethod.TEXTFILE.value], default=SourceMethod.FOLDER
    )
    resize_channels = serializers.ChoiceField([1, 3], default=3)
    resize_width = _size()
    resize_height = _size()
    resize_mode = serializers.ChoiceField(ResizeMode.values, default=ResizeMode.SQUASH)
    encoding = serializers.ChoiceField(Encoding.values, default=Encoding.PNG)
    alpha_background = Background(default=WHITE)
    depth = serializers.ChoiceField(Depth.values, default=Depth.AUTO)
    folder_train = CategoriesFolder("train", required=False)
    archive_train = ArchiveField(required=False)
    folder_pct_val = _percent(25)
    folder_pct_test = _percent(0)
    folder_train_min_per_class = _least()
    folder_train_max_per_class = _most()
    has_val_folder = Flag()
    folder_val = CategoriesFolder("val", default="")
    folder_val_min_per_class = _least()
    folder_val_max_per_class = _most()
    has_test_folder = Flag()
    folder_test = CategoriesFolder("test", default="")
    folder_test_min_per_class = _least()
    folder_test_max_per_class = _most()
    textfile_use_local_files = Flag()
    textfile_use_val = Flag()
    textfile_use_test = Flag()
    textfile_train_images = Upload(MAX_LIST_BYTES, required=False)
    textfile_val_images = Upload(MAX_LIST_BYTES, required=False)
    textfile_test_images = Upload(MAX_LIST_BYTES, required=False)
    textfile_labels_file = Upload(MAX_LIST_BYTES, required=False)
    textfile_local_train_images = ServerFile(required=False)
    textfile_local_val_images = ServerFile(required=False)
    textfile_local_test_images = ServerFile(required=False)
    textfile_local_labels_file = ServerFile(required=False)
    textfile_train_folder = ImagesFolder(default="")
    textfile_val_folder = ImagesFolder(default="")
    textfile_test_folder = ImagesFolder(default="")
    textfile_shuffle = FlagOn()
    seed = serializers.IntegerField(default=0, min_value=0, max_value=2**31 - 1)

    def to_internal_value(self, data):
        if hasattr(data, "items"):
            choice = self.fields["method"]
            method = str(data.get("method"))
            method = method if method in choice.choices else choice.default
            self._keep_fields_of(method)
            if method == SourceMethod.TEXTFILE:
                self._keep_lists_used(data)
            else:
                self.fields["folder_train"].required = not data.get("archive_train")
        return super().to_internal_value(data)

    def _keep_fields_of(self, method: str) -> None:
        for name in list(self.fields):
            of_lists, of_folders = name.startswith("textfile_"), name.startswith(("folder_", "archive_", "has_"))
            if (of_lists and method != SourceMethod.TEXTFILE) or (of_folders and method != SourceMethod.FOLDER):
                del self.fields[name]

    def _keep_lists_used(self, data) -> None:
        """Of the fields for text files leave those that this form uses, and require them."""
        local = _is_set(data, "textfile_use_local_files")
        used = {"labels", "train", *(split for split in ("val", "test") if _is_set(data, f"textfile_use_{split}"))}
        for name in TEXT_LISTS:
            for among_local, field in zip((False, True), _list_fields(name), strict=True):
                if among_local == local and name in used:
                    self.fields[field].required = True
                else:
                    del self.fields[field]
            if name not in used:
                del self.fields[f"textfile_{name}_folder"]

    def validate(self, form):
        """What only several fields together can tell; form names to column names."""
        form["name"] = form.pop("dataset_name")
        return self._validated_lists(form) if form["method"] == SourceMethod.TEXTFILE else self._validated_folders(form)

    def _validated_lists(self, form):
        del form["textfile_use_local_files"]
        lists = {}
        for name in TEXT_LISTS:
            for field in _list_fields(name):
                if field in form:
                    given = form.pop(field)
                    lists[name] = TextList(field, Path(given) if isinstance(given, str) else given)
        return form | {"lists": lists}

    def _validated_folders(self, form):
        form["archive"] = form.pop("archive_train", None)
        for split in ("val", "test"):
            if form.pop(f"has_{split}_folder"):
                form[f"folder_pct_{split}"] = 0.0
            else:
                form[f"folder_{split}"] = ""
        return form

    def wrong_together(self, values):
        wrong = {}
        if values.get("archive_train") and values.get("folder_train"):
            wrong["archive_train"] = "Send an archive or name a folder of the server, not both."
        shares = 0.0
        for split in ("val", "test"):
            has_folder = values.get(f"has_{split}_folder")
            shares += 0.0 if has_folder else values.get(f"folder_pct_{split}", 0.0)
            if has_folder and values.get(f"folder_{split}") == "":
                wrong[f"folder_{split}"] = f"This field is required with has_{split}_folder."
        if shares >= 100:
            wrong["folder_pct_val"] = "Validation and test together must leave some images to train on: under 100 %."
        for split in ("train", "val", "test"):
            least, most = (values.get(f"folder_{split}_{bound}_per_class") for bound in ("min", "max"))
            if least is not None and most is not None and most < least:
                wrong[f"folder_{split}_max_per_class"] = f"This is less than the minimum, {least}."
        return wrong


class GenericDatasetForm(Form):
    """What POST /datasets/images/generic takes. Valid data are create_dataset's arguments.

    The databases keep the size and the pixels that they have, so there is nothing to resize or encode.
    """

    WIRE_NAMES = {"name": "dataset_name"}
    DESCRIPTIONS = dataset_descriptions.GENERIC
    DIGITS_FIELDS = digits_fields.GENERIC_DATASET

    dataset_name = serializers.CharField(max_length=255)
    method = serializers.ChoiceField([SourceMethod.PREBUILT.value], default=SourceMethod.PREBUILT)
    prebuilt_train_images = DatabaseField()
    prebuilt_train_labels = DatabaseField(default="")
    prebuilt_val_images = DatabaseField(default="")
    prebuilt_val_labels = DatabaseField(default="")
    prebuilt_mean_file = MeanFile(default="")

    def wrong_together(self, values):
        """Labels lie in databases of their own for both splits or for neither."""
        names = ("val_images", "train_labels", "val_labels")
        if any(f"prebuilt_{name}" not in values for name in names):
            return {}  # one of them is wrong by itself
        has_val, train_labels, val_labels = (bool(values[f"prebuilt_{name}"]) for name in names)
        if val_labels and not has_val:
            return {"prebuilt_val_images": "These images are missing to the labels."}
        if has_val and train_labels != val_labels:
            missing = "train" if val_labels else "val"
            return {f"prebuilt_{missing}_labels": "Name a database of labels for both splits, or for neither."}
        return {}

    def validate(self, form):
        form["name"] = form.pop("dataset_name")
        return form | {"kind": DatasetKind.GENERIC}


def _list_fields(name: str) -> tuple[str, str]:
    """The field of a text file for an upload, and that for a path of the server."""
    suffix = "labels_file" if name == "labels" else f"{name}_images"
    return f"textfile_{suffix}", f"textfile_local_{suffix}"


def _is_set(data, field: str) -> bool:
    """Whether a flag is posted and true; that it is neither true nor false, its own field says."""
    try:
        return Flag().run_validation(data.get(field, False))
    except serializers.ValidationError:
        return False


def dataset_json(dataset: Dataset) -> dict:
    """GET /datasets/<id>.json"""
    found = {name: value for name in ("copies", "warnings") if (value := getattr(dataset, name))}
    look = dataset.look | {"depth": dataset.depth} if dataset.kind == DatasetKind.CLASSIFICATION else {}
    return describe_job(dataset, **describe_tasks(dataset), **look, **describe_skipped(dataset), **found)
