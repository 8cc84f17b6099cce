"""Serializers of the dataset responses, for the schema."""

from rest_framework import serializers

from datasets.api.dataset_resources import DatasetDetails
from digits_project.jobs.api.job_responses import JobFacts


class ParseFolderTask(serializers.Serializer):
    """The numbers of categories and images found in a folder."""

    name = serializers.CharField()
    label_count = serializers.IntegerField()
    train_count = serializers.IntegerField()
    val_count = serializers.IntegerField()
    test_count = serializers.IntegerField()


class CreateDbTask(serializers.Serializer):
    """A database that was built."""

    name = serializers.CharField()
    entries = serializers.IntegerField()
    image_width = serializers.IntegerField()
    image_height = serializers.IntegerField()
    image_channels = serializers.IntegerField()
    encoding = serializers.CharField()


class AnalyzeDbTask(serializers.Serializer):
    """A prebuilt database that was checked and copied."""

    name = serializers.CharField()
    image_count = serializers.IntegerField()
    image_width = serializers.IntegerField()
    image_height = serializers.IntegerField()
    image_channels = serializers.IntegerField()


class Copies(serializers.Serializer):
    """Exact copies among the images of all splits."""

    images = serializers.IntegerField(help_text="How many images have an exact copy.")
    pictures = serializers.IntegerField(help_text="How many different pictures these images are.")
    in_two_categories = serializers.IntegerField(help_text="How many of the pictures are in more than one category.")
    in_two_splits = serializers.IntegerField(help_text="How many of the pictures are in more than one split.")
    remarks = serializers.ListField(
        child=serializers.CharField(), help_text="The same figures in sentences, with examples."
    )


class DatasetFacts(JobFacts):
    """A dataset."""

    ParseFolderTasks = ParseFolderTask(many=True, required=False)
    CreateDbTasks = CreateDbTask(many=True, required=False)
    AnalyzeDbTasks = AnalyzeDbTask(many=True, required=False, help_text="Only for a generic dataset.")
    copies = Copies(required=False, help_text="Absent if there are no copies.")
    alpha_background = serializers.CharField(required=False, help_text="The background colour for transparent images.")
    white_level = serializers.IntegerField(required=False, help_text="The 16-bit value that became white.")
    depth = serializers.ChoiceField(["auto", "full"], required=False)
    skipped = serializers.IntegerField(required=False, help_text="Files that were not used; absent if there are none.")
    skipped_reasons = serializers.DictField(child=serializers.IntegerField(), required=False)
    warnings = serializers.ListField(child=serializers.CharField(), required=False)
    details = DatasetDetails(required=False, help_text="With `?details=1`.")
