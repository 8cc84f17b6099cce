"""A model as JSON, and the shapes of the answers for the schema."""

from drf_spectacular.utils import PolymorphicProxySerializer
from rest_framework import serializers

from digits_project.jobs.wire import Created, JobFacts, created, describe_job
from models_app.models import Metric, TrainedModel

MOST_POINTS = 200  # of a curve, unless ?points=all


def model_json(model: TrainedModel, every_point: bool = False) -> dict:
    """GET /models/<id>.json"""
    outputs = {f"{split}_outputs": curve(model, split, every_point) for split in Metric.Split.values}
    return describe_job(
        model,
        snapshots=[epoch_json(epoch) for epoch in model.snapshots.order_by("epoch").values_list("epoch", flat=True)],
        dataset_id=model.dataset_id,
        **{name: points for name, points in outputs.items() if points["epoch"]},
    )


def curve(model: TrainedModel, split: str, every_point: bool) -> dict:
    """`{"epoch": […], "loss": […]}`, `accuracy` where the network has one, and its further outputs by their names.

    At most 200 points unless every one is wanted, thinned evenly; the first and the last always stay.
    """
    columns = ("epoch", "loss", "accuracy", "outputs")
    rows = list(model.metrics.filter(split=split).order_by("epoch").values_list(*columns))
    if len(rows) > MOST_POINTS and not every_point:
        last = len(rows) - 1
        rows = [rows[round(i * last / (MOST_POINTS - 1))] for i in range(MOST_POINTS)]
    points = {"epoch": [epoch_json(row[0]) for row in rows], "loss": [row[1] for row in rows]}
    if any(row[2] is not None for row in rows):
        points["accuracy"] = [row[2] for row in rows]
    for name in dict.fromkeys(name for row in rows for name in row[3]):
        points.setdefault(name, [row[3].get(name) for row in rows])
    return points


def created_json(model: TrainedModel) -> dict:
    """The answer to a create of one model."""
    return created(model, dataset_id=model.dataset_id)


def epoch_json(epoch: float) -> float | int:
    """1, or 0.5."""
    return int(epoch) if epoch == int(epoch) else epoch


class CreatedModel(Created):
    """A model that was created."""

    dataset_id = serializers.CharField()


class CreatedSweep(serializers.Serializer):
    """Models that were created together."""

    jobs = CreatedModel(many=True)


Creation = PolymorphicProxySerializer("Creation", [CreatedModel, CreatedSweep], resource_type_field_name=None)


class Curve(serializers.Serializer):
    """Lists of one length: what was measured at each epoch. Further outputs of the network stand beside them."""

    epoch = serializers.ListField(child=serializers.FloatField())
    loss = serializers.ListField(child=serializers.FloatField(allow_null=True))
    accuracy = serializers.ListField(child=serializers.FloatField(allow_null=True), required=False, help_text="0 to 1.")


class ModelFacts(JobFacts):
    """A model."""

    snapshots = serializers.ListField(child=serializers.FloatField(), help_text="The epochs, 1 or 0.5.")
    dataset_id = serializers.CharField()
    train_outputs = Curve(required=False)
    val_outputs = Curve(required=False)


class CurveForm(serializers.Serializer):
    """The query string of a model's JSON."""

    points = serializers.CharField(
        required=False, help_text="`all`: every point of the curves, not at most 200 of each."
    )


class Columns(serializers.Serializer):
    """A name and its numbers, for each curve."""

    columns = serializers.ListField(child=serializers.ListField(child=serializers.JSONField()))


class Chart(serializers.Serializer):
    """Curves to draw."""

    data = Columns()


class CustomNetwork(serializers.Serializer):
    """A network to start one's own from."""

    network = serializers.CharField(help_text="Caffe prototxt.")
    snapshot = serializers.CharField(allow_null=True, help_text="The path of a snapshot's weights.")
