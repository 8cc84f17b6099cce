"""The forms of the inference routes."""

from io import BytesIO

from django.db.models import Exists, OuterRef
from rest_framework import serializers
from rest_framework.fields import empty

from datasets.imagedb.images import size_limits
from datasets.imagedb.images.formats import READABLE
from digits_project.api import digits_fields
from digits_project.api.forms import Flag, Form
from digits_project.api.uploads import Upload
from digits_project.common.errors import BadInput
from digits_project.jobs.data_roots import is_folder, readable
from digits_project.jobs.visibility import visible
from inference.image_list import MAX_BYTES, ImageList, fetched
from models_app.api.model_descriptions import WHICH
from models_app.api.model_fields import SnapshotField, job_choices
from models_app.models import Snapshot, TrainedModel

WRONG = object()  # marks an invalid field, whose own error is more useful than "missing"

_ASKED = {
    "job_id": "The model that predicts.",
    "snapshot_epoch": f"The snapshot to use: {WHICH}",
}
ONE_IMAGE = _ASKED | {
    "image_file": f"The image, as an upload: a {READABLE} file. This, a path or a URL is needed.",
    "image_path": "Path of a file of the server.",
    "image_url": (
        "A URL to fetch the image from, if the server allows URLs (DIGITS_ALLOW_URLS), or the path of a file of "
        "the server."
    ),
    "show_visualizations": "Whether the page shows the weights and activations of each layer.",
}
VISUALIZATIONS = {
    "visualizations": (
        "Whether the response has the weights and activations of each layer, under the key visualizations."
    )
}
CLASSIFY_QUERY = {
    "calibrated": (
        "Whether the percentages are calibrated, by the temperature that an evaluation on the validation images has "
        "fitted; the order of the categories is the same."
    ),
    "unsure_below": (
        "The confidence, 0 to 1, below which the response says that the answer is unsure; empty: the threshold that an "
        "evaluation on the validation images has chosen."
    ),
    "details": "Whether the response says if the answer is unsure, its confidence, the threshold and the temperature.",
    "explain": "Whether the response says which parts of the image speak for the category, under the key explanation.",
    "explain_category": "The category to explain; empty: the best one.",
}
IMAGE_LIST = _ASKED | {
    "image_list": (
        "An upload, or the text itself. Each line has the path of an image and optionally a label number. Required."
    ),
    "image_folder": "Folder of the server for relative paths in the list.",
    "num_test_images": "Use only this many images from the top of the list; empty: all.",
}
TOP = IMAGE_LIST | {"top_n": "How many images of each category."}
DOWNLOAD = dict.fromkeys(("epoch", "snapshot_epoch"), f"The snapshot to use: {WHICH}") | {
    "calibrated": "Whether model.onnx gives calibrated scores, by the temperature that an evaluation has fitted."
}


class ChosenModel(serializers.CharField):
    """The id of a model; pages offer the models that have snapshots."""

    def __init__(self, **kwargs):
        super().__init__(style={"base_template": "job.html", "title": "Model"}, **kwargs)

    def candidates(self) -> list[tuple[str, str]]:
        """(id, name) of the models that a page offers."""
        return job_choices(visible(TrainedModel).filter(Exists(Snapshot.objects.filter(trained_model=OuterRef("pk")))))


class InferenceForm(Form):
    """The fields that all inference routes have: the model's id, and the epoch of the snapshot that predicts."""

    DIGITS_FIELDS = digits_fields.INFERENCE
    HAS_FIXED_FIELDS = True

    job_id = ChosenModel(required=False)  # asked_snapshots.named_model reads it before the form
    snapshot_epoch = SnapshotField(default=None)

    def missing(self, values: dict) -> dict[str, str]:
        """{field: message} of missing images, judged by `values`, the valid fields."""
        return {}

    def wrong_together(self, values):
        """Report missing images at their field if another field is wrong too; else they are an `error`
        (docs/api.md)."""
        others = (name for name, field in self.fields.items() if field.default is not empty)
        return self.missing(values) if any(name not in values for name in others) else {}

    def validate(self, form):
        if missing := self.missing(form):
            raise BadInput(" ".join(missing.values()))
        return form


class OneImageForm(InferenceForm):
    """One image. If several are sent, the path is used, as in DIGITS.

    The valid data have it as `image`: a path or an open upload.
    """

    DESCRIPTIONS = ONE_IMAGE

    image_file = Upload(size_limits.MAX_BYTES, default=None, allow_empty_file=True)
    image_path = serializers.CharField(default=None, max_length=4096)
    image_url = serializers.CharField(default=None, max_length=4096)
    show_visualizations = Flag()

    def missing(self, values):
        if any(values.get(name, WRONG) not in (None, "") for name in ("image_file", "image_path", "image_url")):
            return self._unreadable(values)
        return {"image_file": "No image: send one of image_file (an upload), image_path or image_url."}

    def _unreadable(self, values) -> dict[str, str]:
        """The error of an unreadable path. A URL is fetched only after all other fields are valid."""
        name = "image_path" if values.get("image_path") else "image_url"
        path = values.get(name)
        try:
            if path and "://" not in path:
                readable(path)
        except BadInput as unreadable:
            return {name: str(unreadable)}
        return {}

    def validate(self, form):
        form = super().validate(form)
        path = form["image_path"] or form["image_url"]
        if not path:
            form["image"] = form["image_file"].file
            return form
        form["image"] = fetched(path) if "://" in path else readable(path)
        return form


class ClassifyForm(OneImageForm):
    """One image to classify."""

    DESCRIPTIONS = ONE_IMAGE | {
        "show_explanation": "Whether the page shows which parts of the image speak for the category, and how much.",
    }

    show_explanation = Flag()


class VisualizationsForm(Form):
    """The query string of infer_one."""

    DESCRIPTIONS = VISUALIZATIONS
    HAS_FIXED_FIELDS = True

    visualizations = Flag()


class ThresholdField(serializers.FloatField):
    """A number from 0 to 1."""

    def __init__(self, **kwargs):
        super().__init__(min_value=0, max_value=1, **kwargs)


class CertaintyQuery(Form):
    """The query string of classify_many."""

    DESCRIPTIONS = {name: CLASSIFY_QUERY[name] for name in ("unsure_below", "details")}
    HAS_FIXED_FIELDS = True

    unsure_below = ThresholdField(default=None)
    details = Flag()


class ClassifyQuery(VisualizationsForm, CertaintyQuery):
    """The query string of classify_one."""

    DESCRIPTIONS = VISUALIZATIONS | CLASSIFY_QUERY

    calibrated = Flag()
    explain = Flag()
    explain_category = serializers.CharField(default="", max_length=1000, trim_whitespace=False)


class TextUpload(Upload):
    """A text file, or the text itself if the body can't contain files; the value is a binary file."""

    def to_internal_value(self, data):
        if isinstance(data, str):
            return BytesIO(data.encode("utf-8", "surrogatepass"))
        return super().to_internal_value(data).file


class ImageListForm(InferenceForm):
    """A list of images. `images` of the valid data is an ImageList."""

    DESCRIPTIONS = IMAGE_LIST

    image_list = TextUpload(MAX_BYTES, default=None, allow_empty_file=True)
    image_folder = serializers.CharField(default="", max_length=4096)
    num_test_images = serializers.IntegerField(default=None, min_value=1, max_value=2**31 - 1)

    def missing(self, values):
        missing = {}
        if values.get("image_list", WRONG) is None:
            missing["image_list"] = "image_list is missing: a text file with the path of one image on each line."
        folder = values.get("image_folder")
        try:
            if folder and not is_folder(folder):
                missing["image_folder"] = f"image_folder: there is no folder {folder}."
        except BadInput as outside:
            missing["image_folder"] = str(outside)
        return missing

    def validate(self, form):
        form = super().validate(form)
        form["images"] = ImageList(form["image_list"], form["image_folder"], form["num_test_images"])
        return form


class TopForm(ImageListForm):
    """A list of images, and the number of images to return for each category."""

    DESCRIPTIONS = TOP

    top_n = serializers.IntegerField(default=9, min_value=1, max_value=1000)


class DownloadForm(Form):
    """The query string of a download."""

    DESCRIPTIONS = DOWNLOAD

    epoch = SnapshotField(default=None)
    calibrated = Flag()


class PostedDownloadForm(Form):
    """The form of a download by POST, as DIGITS's page sends it."""

    DESCRIPTIONS = DOWNLOAD

    snapshot_epoch = SnapshotField(default=None)
    calibrated = Flag()
