"""What the inference routes take."""

from io import BytesIO

from rest_framework import serializers

from datasets.imagedb import images
from digits_project.access import is_folder, readable
from digits_project.api import Flag, Form
from digits_project.errors import BadInput
from digits_project.uploads import Upload
from inference import descriptions
from inference.imagelist import MOST_BYTES, ImageList, fetched


class InferenceForm(Form):
    """What every route takes besides `job_id`: the epoch of the snapshot that is to answer."""

    job_id = serializers.CharField(required=False)  # views.named_model reads it, before the form
    snapshot_epoch = serializers.FloatField(default=None, min_value=-1)


class OneImageForm(InferenceForm):
    """One image; of several a path comes first, as in DIGITS. `image` of the valid data is a path or an open upload."""

    DESCRIPTIONS = descriptions.ONE_IMAGE

    image_file = Upload(images.MAX_BYTES, default=None, allow_empty_file=True)
    image_path = serializers.CharField(default=None, max_length=4096)
    image_url = serializers.CharField(default=None, max_length=4096)
    show_visualizations = Flag()

    def validate(self, form):
        path = form["image_path"] or form["image_url"]
        if not path and form["image_file"] is None:
            raise BadInput("No image: send one of image_file (an upload), image_path or image_url.")
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

    def validate(self, form):
        if form["image_list"] is None:
            raise BadInput("image_list is missing: a text file with the path of one image on each line.")
        folder = form["image_folder"]
        if folder and not is_folder(folder):
            raise BadInput(f"image_folder: there is no folder {folder}.")
        form["images"] = ImageList(form["image_list"], folder, form["num_test_images"])
        return form


class TopForm(ImageListForm):
    """A list of images, and how many of them are wanted for each category."""

    DESCRIPTIONS = descriptions.TOP

    top_n = serializers.IntegerField(default=9, min_value=1, max_value=1000)


class DownloadForm(Form):
    """The query string of a download."""

    DESCRIPTIONS = descriptions.DOWNLOAD

    epoch = serializers.FloatField(default=None, min_value=-1)
