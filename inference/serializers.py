"""What the inference routes take."""

from io import BytesIO

from rest_framework import serializers
from rest_framework.fields import empty

from datasets.imagedb import images
from digits_project.access import is_folder, readable
from digits_project.api import Flag, Form
from digits_project.errors import BadInput
from digits_project.uploads import Upload
from inference import descriptions
from inference.imagelist import MOST_BYTES, ImageList, fetched
from models_app.fields import Number

WRONG = object()  # in place of a field that is wrong by itself, which says more than that it is missing


class InferenceForm(Form):
    """What every route takes besides `job_id`: the epoch of the snapshot that is to answer."""

    job_id = serializers.CharField(required=False)  # views.named_model reads it, before the form
    snapshot_epoch = Number(default=None, min_value=-1)

    def missing(self, values: dict) -> dict[str, str]:
        """{field: message} of the images that the form lacks, as far as `values`, the valid fields, tell."""
        return {}

    def wrong_together(self, values):
        """What is missing is reported under its field where another field is wrong; alone it is an `error` (API.md)."""
        others = (name for name, field in self.fields.items() if field.default is not empty)
        return self.missing(values) if any(name not in values for name in others) else {}

    def validate(self, form):
        if missing := self.missing(form):
            raise BadInput(" ".join(missing.values()))
        return form


class OneImageForm(InferenceForm):
    """One image; of several a path comes first, as in DIGITS. `image` of the valid data is a path or an open upload."""

    DESCRIPTIONS = descriptions.ONE_IMAGE

    image_file = Upload(images.MAX_BYTES, default=None, allow_empty_file=True)
    image_path = serializers.CharField(default=None, max_length=4096)
    image_url = serializers.CharField(default=None, max_length=4096)
    show_visualizations = Flag()

    def missing(self, values):
        if any(values.get(name, WRONG) not in (None, "") for name in ("image_file", "image_path", "image_url")):
            return self._unreadable(values)
        return {"image_file": "No image: send one of image_file (an upload), image_path or image_url."}

    def _unreadable(self, values) -> dict[str, str]:
        """Of a path; what a URL holds is only fetched once all else is right."""
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


class VisualizationsForm(Form):
    """The query string of a question about one image."""

    DESCRIPTIONS = descriptions.VISUALIZATIONS

    visualizations = Flag()


class TextUpload(Upload):
    """A text file, or the text itself where the body has no files; the value is a binary file."""

    def to_internal_value(self, data):
        if isinstance(data, str):
            return BytesIO(data.encode("utf-8", "surrogatepass"))
        return super().to_internal_value(data).file


class ImageListForm(InferenceForm):
    """A list of images. `images` of the valid data is an ImageList."""

    DESCRIPTIONS = descriptions.IMAGE_LIST

    image_list = TextUpload(MOST_BYTES, default=None, allow_empty_file=True)
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
    """A list of images, and how many of them are wanted for each category."""

    DESCRIPTIONS = descriptions.TOP

    top_n = serializers.IntegerField(default=9, min_value=1, max_value=1000)


class DownloadForm(Form):
    """The query string of a download."""

    DESCRIPTIONS = descriptions.DOWNLOAD

    epoch = Number(default=None, min_value=-1)
