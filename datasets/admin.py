from django.contrib import admin

from datasets.models import Dataset
from digits_project.jobs.admin import JobAdmin


@admin.register(Dataset)
class DatasetAdmin(JobAdmin):
    list_display = ("name", "job_id", "status", "progress_bar", "train", "val", "test", "owner", "created_at")

    @admin.display
    def train(self, dataset: Dataset) -> int:
        return dataset.entries("train")

    @admin.display
    def val(self, dataset: Dataset) -> int:
        return dataset.entries("val")

    @admin.display
    def test(self, dataset: Dataset) -> int:
        return dataset.entries("test")
