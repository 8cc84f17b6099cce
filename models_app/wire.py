"""The shapes of the model answers, for the schema."""

from rest_framework import serializers

from digits_project.jobs.wire import Created, JobFacts


class CreatedModel(Created):
    """A model that was created."""

    dataset_id = serializers.CharField()


class Curve(serializers.Serializer):
    """Lists of one length: what was measured at each epoch."""

    epoch = serializers.ListField(child=serializers.FloatField())
    loss = serializers.ListField(child=serializers.FloatField(allow_null=True))
    accuracy = serializers.ListField(child=serializers.FloatField(allow_null=True), help_text="0 to 1.")


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
