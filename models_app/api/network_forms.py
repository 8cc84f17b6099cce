"""The forms of models' routes that create no model, and the checks of a network's text."""

from rest_framework import serializers

from datasets.models import Dataset
from digits_project.api.forms import Form, OpenChoiceField
from digits_project.common.errors import BadInput
from models_app import network_texts, networks
from models_app.api import model_descriptions
from models_app.api.model_fields import JobOf, NetworkText, SnapshotField
from models_app.networks.timm import timm_catalogue
from models_app.results import Evaluation

# Scripts written for DIGITS can name any framework; the engine decides what trains.
FRAMEWORKS = ("mxnet", "caffe", "torch", "pytorch", "tensorflow")
FRAMEWORK_ENGINES = {"torch": "torch", "pytorch": "torch"}  # the others leave the choice to the server
OTHER_LANGUAGES = {"torch": "Lua", "pytorch": "Python", "tensorflow": "Python"}


class StandardNetworkField(OpenChoiceField):
    """The name of a standard network, or timm/<name> for a classifier of timm."""

    def __init__(self, **kwargs):
        super().__init__(list(networks.STANDARD), **kwargs)

    @staticmethod
    def suggestions() -> list[str]:
        """All names, in the order in which pages suggest them."""
        return [*networks.STANDARD, *(timm_catalogue.PREFIX + name for name in timm_catalogue.names())]

    def to_internal_value(self, data):
        if not (isinstance(data, str) and timm_catalogue.is_timm(data)):
            return self._standard(data)
        try:
            return networks.find_standard(data).name
        except BadInput as wrong:
            raise serializers.ValidationError(str(wrong)) from wrong

    def _standard(self, data):
        try:
            return super().to_internal_value(data)
        except serializers.ValidationError as wrong:
            name = data if data in timm_catalogue.names() else "NAME"
            choices = self.error_messages["invalid_choice"].format(input=data).rstrip(".")
            message = f"{choices}; or {timm_catalogue.PREFIX}{name} of the timm library."
            raise serializers.ValidationError(message) from wrong


def wrong_language(framework: str | None) -> dict[str, str]:
    """{field: message} for a framework whose networks are programs."""
    if language := OTHER_LANGUAGES.get(framework or ""):
        return {"custom_network": f"A network in {language} can't be read; write it as Caffe prototxt."}
    return {}


def wrong_syntax(values) -> dict[str, str]:
    """{field: message} for a prototxt with syntax errors, if its dataset is not known."""
    error = network_texts.syntax_error(values["custom_network"]) if values.get("custom_network") else ""
    return {"custom_network": error} if error else {}


class NetworkForm(Form):
    """The form of POST /models/visualize-network; `framework` can be in the query string instead."""

    DESCRIPTIONS = model_descriptions.NETWORK

    custom_network = NetworkText()
    dataset = JobOf(Dataset, default=None)
    dataset_id = JobOf(Dataset, default=None)
    framework = serializers.ChoiceField(FRAMEWORKS, default="mxnet")

    def wrong_together(self, values):
        incomplete = len(values) < len(self.fields)  # otherwise the view reports the network's errors
        return (wrong_syntax(values) if incomplete else {}) | wrong_language(values.get("framework"))

    def validate(self, form):
        return {"text": form["custom_network"], "dataset": form["dataset"] or form["dataset_id"]}


class CurveForm(serializers.Serializer):
    """The query string of a model's JSON."""

    points = serializers.CharField(
        required=False, help_text="`all`: every point of the curves; otherwise at most 200 of each."
    )


class CustomizeForm(Form):
    """The form of POST /models/customize, in the query string or the body."""

    DESCRIPTIONS = model_descriptions.CUSTOMIZE

    network = serializers.CharField(max_length=100)
    snapshot_epoch = SnapshotField(default=0)


class EvaluationForm(Form):
    """The form of POST /models/<id>/evaluation: the snapshot to evaluate, and the split of the images."""

    DESCRIPTIONS = model_descriptions.EVALUATION

    snapshot_epoch = SnapshotField(default=None)
    split = serializers.ChoiceField(Evaluation.Split.values, default=Evaluation.Split.VAL.value)


class StoredEvaluationForm(Form):
    """The query string of GET /models/<id>/evaluation."""

    DESCRIPTIONS = model_descriptions.STORED_EVALUATION

    snapshot_epoch = SnapshotField(default=None)
    split = serializers.ChoiceField(Evaluation.Split.values, default=None)


class TimmFactsShown(serializers.Serializer):
    """What is known of a network of timm."""

    size = serializers.IntegerField(help_text="The side of the images that it was designed for, in pixels.")
    sizes = serializers.CharField(help_text="The sizes of images that it takes.")
    parameters = serializers.IntegerField(help_text="Without the head.")
    weights = serializers.ListField(
        child=serializers.CharField(), help_text="timm's names for the weights that it publishes."
    )


class TimmNetworks(serializers.Serializer):
    """The networks of timm that can be trained."""

    timm = serializers.CharField(help_text="The version of timm.")
    networks = serializers.DictField(child=TimmFactsShown(), help_text="By the values of standard_networks.")


class CustomNetwork(serializers.Serializer):
    """A network as a template for your own."""

    network = serializers.CharField(help_text="Caffe prototxt.")
    snapshot = serializers.CharField(
        allow_null=True, help_text="The path of a snapshot's weights; on a private server only for operators."
    )
