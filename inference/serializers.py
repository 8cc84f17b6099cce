"""What the inference routes take."""

from django.conf import settings
from rest_framework import serializers

from digits_project.access import readable
from digits_project.api import Flag, Form
from digits_project.errors import BadInput


class ClassifyOneForm(Form):
    """One image and the snapshot that is to classify it. `image` of the valid data is a path or an open upload."""

    snapshot_epoch = serializers.FloatField(default=None, min_value=-1)
    image_file = serializers.FileField(default=None, allow_empty_file=True)
    image_path = serializers.CharField(default=None, max_length=4096)
    image_url = serializers.CharField(default=None, max_length=4096)
    show_visualizations = Flag()

    def validate(self, form):
        if form["image_file"] is not None:
            form["image"] = form["image_file"].file
            return form
        path = form["image_path"] or form["image_url"]
        if not path:
            raise BadInput("No image: send one of image_file (an upload), image_path or image_url.")
        if "://" in path:
            raise BadInput(_about_urls())
        form["image"] = readable(path)
        return form


def _about_urls() -> str:
    if settings.DIGITS_ALLOW_URLS:
        return "This version can't fetch images from URLs; send the image as image_file."
    return "This server does not fetch URLs (DIGITS_ALLOW_URLS is off); send the image as image_file."
