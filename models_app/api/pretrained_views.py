"""The viewsets of pretrained models."""

from django.core.exceptions import ValidationError as DjangoValidationError
from drf_spectacular.utils import extend_schema, extend_schema_serializer
from rest_framework import serializers

from digits_project.api.browsable import PageResponse
from digits_project.api.openapi import errors
from digits_project.api.renderers import PrettyJSONRenderer
from digits_project.common.errors import BadInput
from digits_project.jobs.api.job_responses import Created, JobFacts, created, describe_job
from digits_project.jobs.api.views import CreateViewSet, JobViewSet, fetch
from digits_project.jobs.visibility import visible
from models_app.api.pretrained_forms import ArchiveForm, PretrainedForm, ToPretrainedForm
from models_app.api.serializers import chosen_snapshot
from models_app.models import TrainedModel
from models_app.networks.pretrained.packaged import PACKAGED
from models_app.pretrained import importing
from models_app.pretrained.pretrained_model import PretrainedModel

MAX_LISTED = 1000
OF_START = ("taken_over", "afresh", "warnings")


class PretrainedFacts(JobFacts):
    """A pretrained model."""

    network = serializers.CharField(help_text="The name of its network.")
    standard_network = serializers.CharField(help_text="Empty if it is not a standard network.")
    categories = serializers.IntegerField()
    labels = serializers.ListField(child=serializers.CharField(), help_text="Empty if they are not known.")
    image_dimensions = serializers.ListField(child=serializers.IntegerField(), help_text="Channels, height, width.")
    normalization = serializers.JSONField(help_text="Mean and std of each channel, 0 to 255; null: none.")
    made_from = serializers.CharField(help_text="The file, the archive or the snapshot.")
    taken_over = serializers.ListField(child=serializers.CharField(), help_text="Layers that have weights.")
    afresh = serializers.ListField(child=serializers.CharField(), help_text="Layers that have none.")
    warnings = serializers.ListField(child=serializers.CharField())


class ListedPretrained(serializers.Serializer):
    """A pretrained model in the list."""

    id = serializers.CharField()
    name = serializers.CharField()
    network = serializers.CharField()
    categories = serializers.IntegerField()


class Installed(serializers.Serializer):
    """Weights that come with the installation."""

    name = serializers.CharField(help_text="For pretrained_networks.")
    network = serializers.CharField()
    categories = serializers.CharField()
    licence = serializers.CharField()
    installed = serializers.BooleanField(help_text="Whether this host has them; the workers' hosts need them.")


@extend_schema_serializer(many=False)  # an object, although the action is called `list`
class PretrainedList(serializers.Serializer):
    """Pretrained models, the newest first, and installed weights."""

    pretrained_models = ListedPretrained(many=True)
    installed = Installed(many=True)


class UploadedArchive(serializers.Serializer):
    """The pretrained model that an archive became, with DIGITS's word as `status`."""

    job_id = serializers.CharField()
    id = serializers.CharField(help_text="The same as `job_id`.")
    name = serializers.CharField()
    status = serializers.CharField(help_text="success")


class PretrainedViewSet(JobViewSet):
    """A pretrained model: a network with weights from which trainings start."""

    job_class = PretrainedModel

    @extend_schema(responses={200: PretrainedFacts})
    def retrieve(self, request, job_id, format=None):
        return PageResponse(pretrained_json(fetch(PretrainedModel, job_id)), "models_app/pretrained.html")

    @extend_schema(responses={200: PretrainedList})
    def list(self, request, format=None):
        """All pretrained models, and the weights that come with the installation."""
        columns = ("job_id", "name", "standard_network", "network__name", "categories")  # a whole network is large
        rows = visible(PretrainedModel).order_by("-created_at").values_list(*columns)[:MAX_LISTED]
        listed = {
            "pretrained_models": [
                {"id": job_id, "name": name, "network": standard or own or "", "categories": categories}
                for job_id, name, standard, own, categories in rows
            ],
            "installed": [installed_json(name) for name in PACKAGED],
        }
        return PageResponse(listed, "models_app/pretrained_list.html")


class NewPretrainedViewSet(CreateViewSet[PretrainedModel]):
    """Make a pretrained model from a file of weights, for a standard network or your own.

    The file is read at once: what fits the network by name and shape is kept, and what does not is listed in the
    response of GET /pretrained_models/<id>.json. A file that holds more than tensors is refused.
    """

    serializer_class = PretrainedForm
    button = "Import the weights"

    def make_jobs(self, owner, **fields):
        return [_or_wrong("weights_file", importing.from_file, owner, **fields)]


class ArchiveViewSet(CreateViewSet[PretrainedModel]):
    """Make a pretrained model from an archive that this server, or another, made of a model's snapshot."""

    serializer_class = ArchiveForm
    renderer_classes = (PrettyJSONRenderer,)  # DIGITS responds with JSON here, with or without the suffix

    def make_jobs(self, owner, **fields):
        upload = fields["archive"]
        return [_or_wrong("archive", importing.from_archive, owner, upload, upload.name, fields["job_name"])]

    def describe(self, job):
        return created(job) | {"status": "success"}

    @extend_schema(responses={200: UploadedArchive, **errors(429, 507)})
    def create(self, request, format=None, **names):
        return super().create(request, format, **names)


class ToPretrainedViewSet(CreateViewSet[PretrainedModel]):
    """Make a pretrained model from a snapshot of a model. The model can then be deleted."""

    serializer_class = ToPretrainedForm

    @extend_schema(responses={200: Created, **errors(409, 429, 507)})
    def create(self, request, format=None, **names):
        self.model = fetch(TrainedModel, names["job_id"])
        return super().create(request, format)

    def make_jobs(self, owner, **fields):
        snapshot = chosen_snapshot(self.model, fields["snapshot_epoch"], "snapshot_epoch")
        if snapshot is None:
            raise serializers.ValidationError({"snapshot_epoch": self.model.no_snapshot_at(0)})
        return [_or_wrong("snapshot_epoch", importing.from_snapshot, owner, snapshot, fields["job_name"])]


def pretrained_json(row: PretrainedModel) -> dict:
    """The response to GET /pretrained_models/<id>.json."""
    return describe_job(
        row,
        network=row.network_name,
        standard_network=row.standard_network,
        categories=row.categories,
        labels=row.labels,
        image_dimensions=row.network.get("input_shape", []),
        normalization=row.network.get("normalization"),
        made_from=row.source,
        **{name: getattr(row, name) for name in OF_START},
    )


def installed_json(name: str) -> dict:
    """Installed weights, as the list has them."""
    weights = PACKAGED[name]
    facts = {part: getattr(weights, part) for part in ("name", "network", "categories", "licence")}
    return facts | {"installed": weights.path() is not None}


def _or_wrong(field: str, make, *arguments, **more) -> PretrainedModel:
    """Call a function that raises BadInput, as an error of this field of the form."""
    try:
        return make(*arguments, **more)
    except BadInput as wrong:
        raise DjangoValidationError({field: str(wrong)}) from wrong
