"""The dataset form, and a dataset as JSON."""

from rest_framework import serializers

from datasets import imagedb
from datasets.models import SIZE, Dataset, Encoding, ResizeMode
from datasets.services import describe_tasks
from digits_project.access import readable
from digits_project.api import Flag, Form
from digits_project.errors import BadInput
from digits_project.jobs.wire import describe_job

MOST_PER_CLASS = 2**31 - 1


def _percent(default: float) -> serializers.FloatField:
    return serializers.FloatField(default=default, min_value=0, max_value=100, validators=[_leaves_some])


def _leaves_some(percent: float) -> None:
    if percent == 100:
        raise serializers.ValidationError("100 % leaves no image to train on.")


def _least() -> serializers.IntegerField:
    return serializers.IntegerField(default=2, min_value=1, max_value=MOST_PER_CLASS)


def _most() -> serializers.IntegerField:
    return serializers.IntegerField(default=None, min_value=1, max_value=MOST_PER_CLASS)


def _size() -> serializers.IntegerField:
    return serializers.IntegerField(default=256, min_value=SIZE[0].limit_value, max_value=SIZE[1].limit_value)


class ServerFolder(serializers.CharField):
    """An absolute path of a folder that the server may read and that has at least so many subfolders."""

    def __init__(self, categories: int = 1, **kwargs):
        super().__init__(max_length=4096, **kwargs)
        self.categories = categories

    def to_internal_value(self, data):
        try:
            folder = readable(super().to_internal_value(data))
            imagedb.check_folder(folder, self.categories)
        except BadInput as wrong:
            raise serializers.ValidationError(str(wrong)) from wrong
        return str(folder)


class ClassificationDatasetForm(Form):
    """What POST /datasets/images/classification takes. Valid data are Dataset's columns."""

    WIRE_NAMES = {"name": "dataset_name"}

    dataset_name = serializers.CharField(max_length=255)
    method = serializers.ChoiceField(["folder"], default="folder")
    resize_channels = serializers.ChoiceField([1, 3], default=3)
    resize_width = _size()
    resize_height = _size()
    resize_mode = serializers.ChoiceField(ResizeMode.values, default=ResizeMode.SQUASH)
    encoding = serializers.ChoiceField(Encoding.values, default=Encoding.PNG)
    folder_train = ServerFolder(categories=2)
    folder_pct_val = _percent(25)
    folder_pct_test = _percent(0)
    folder_train_min_per_class = _least()
    folder_train_max_per_class = _most()
    has_val_folder = Flag()
    folder_val = ServerFolder(default="")
    folder_val_min_per_class = _least()
    folder_val_max_per_class = _most()
    has_test_folder = Flag()
    folder_test = ServerFolder(default="")
    folder_test_min_per_class = _least()
    folder_test_max_per_class = _most()
    seed = serializers.IntegerField(default=0, min_value=0, max_value=2**31 - 1)

    def validate(self, form):
        """What only several fields together can tell; form names to column names."""
        wrong = {}
        for split in ("val", "test"):
            if form.pop(f"has_{split}_folder"):
                form[f"folder_pct_{split}"] = 0.0
                if not form[f"folder_{split}"]:
                    wrong[f"folder_{split}"] = f"This field is required with has_{split}_folder."
            else:
                form[f"folder_{split}"] = ""
        if form["folder_pct_val"] + form["folder_pct_test"] >= 100:
            wrong["folder_pct_val"] = "Validation and test together must leave some images to train on: under 100 %."
        for split in ("train", "val", "test"):
            least, most = (form[f"folder_{split}_{bound}_per_class"] for bound in ("min", "max"))
            if most is not None and most < least:
                wrong[f"folder_{split}_max_per_class"] = f"This is less than the minimum, {least}."
        if wrong:
            raise serializers.ValidationError(wrong)
        del form["method"]
        form["name"] = form.pop("dataset_name")
        return form


def dataset_json(dataset: Dataset) -> dict:
    """GET /datasets/<id>.json"""
    return describe_job(dataset, **describe_tasks(dataset))
