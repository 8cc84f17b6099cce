"""The forms that make pretrained models."""

from rest_framework import serializers

from datasets.imagedb.spec import MAX_SIDE
from digits_project.api.digits_fields import DigitsField, anything
from digits_project.api.forms import Form
from digits_project.api.uploads import Upload, decoded
from models_app import networks
from models_app.api import model_descriptions
from models_app.api.model_fields import NetworkText, SnapshotField
from models_app.api.network_forms import FRAMEWORKS, StandardNetworkField
from models_app.networks.pretrained.foreign_weights import READERS
from models_app.pretrained.importing import Design

MAX_LABELS_MIB = 16
ANY_SIZE = 1 << 62  # only the limit of the whole form limits a file's size
SUFFIXES = (".caffemodel", ".npz", ".onnx", *READERS)
USUAL_SIDE = 256  # of the images of a network in a prototxt


class WeightsUpload(Upload):
    """A file of weights, whose name says its format."""

    def to_internal_value(self, data):
        upload = super().to_internal_value(data)
        if not upload.name.lower().endswith(SUFFIXES):
            raise serializers.ValidationError(f"{upload.name} is of no known format. Send a {', '.join(SUFFIXES)}.")
        return upload


class LabelsFile(Upload):
    """A text file with one category per line. The value is their names."""

    def to_internal_value(self, data):
        upload = super().to_internal_value(data)
        try:
            lines = decoded(upload.read()).splitlines()
        except UnicodeDecodeError as wrong:
            raise serializers.ValidationError(f"{upload.name} is not UTF-8 text.") from wrong
        return [line.strip() for line in lines if line.strip()]


class PretrainedForm(Form):
    """The form of POST /pretrained_models/new. The valid data are the arguments of importing.from_file."""

    DESCRIPTIONS = model_descriptions.PRETRAINED
    DIGITS_FIELDS = {"resize_mode": DigitsField(anything)}  # the dataset decides how images are resized

    job_name = serializers.CharField(max_length=255)
    weights_file = WeightsUpload(ANY_SIZE)
    standard_networks = StandardNetworkField(default="")
    model_def_file = NetworkText(default="")
    labels_file = LabelsFile(MAX_LABELS_MIB << 20, default=[])
    framework = serializers.ChoiceField(FRAMEWORKS, default="mxnet")
    image_type = serializers.ChoiceField(["3", "1", "color", "grayscale"], default="3")
    width = serializers.IntegerField(min_value=1, max_value=MAX_SIDE, default=None)
    height = serializers.IntegerField(min_value=1, max_value=MAX_SIDE, default=None)

    def wrong_together(self, values):
        if {"standard_networks", "model_def_file"} - values.keys():
            return {}
        if bool(values["standard_networks"]) == bool(values["model_def_file"]):
            return {"standard_networks": "Name a standard network, or send your own as model_def_file; one of the two."}
        return {}

    def validate(self, form):
        name = form["standard_networks"]
        side = networks.find_standard(name).size if name else USUAL_SIDE
        channels = 1 if form["image_type"] in ("1", "grayscale") else 3
        shape = (channels, form["height"] or side, form["width"] or side)
        design = Design(name, form["model_def_file"], shape, tuple(form["labels_file"]))
        upload = form["weights_file"]
        return {"name": form["job_name"], "design": design, "content": upload, "file_name": upload.name}


class ArchiveForm(Form):
    """The form of POST /pretrained_models/upload_archive."""

    DESCRIPTIONS = model_descriptions.PRETRAINED

    archive = Upload(ANY_SIZE)
    job_name = serializers.CharField(max_length=255, default="")


class ToPretrainedForm(Form):
    """The form of POST /models/<id>/to_pretrained."""

    DESCRIPTIONS = model_descriptions.PRETRAINED

    snapshot_epoch = SnapshotField(default=None)
    job_name = serializers.CharField(max_length=255, default="")
